import { rules } from '../../rules/index.ts';
import { renderCausePage } from '../render/cause-page.ts';
import { print } from './output.ts';
import { checkCauseIds } from './parse.ts';

/** `whydrop explain CAUSE`. @returns the exit code */
export async function runExplain([id = '']: readonly string[]): Promise<number> {
  checkCauseIds(
    'explain',
    [id],
    rules.map((rule) => rule.id),
  );
  const rule = rules.find((candidate) => candidate.id === id);
  if (rule !== undefined) await print(renderCausePage(rule));
  return 0;
}
