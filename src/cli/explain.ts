import { rules } from '../../rules/index.ts';
import { renderCausePage } from '../render/cause-page.ts';
import { print } from './output.ts';
import { presentCauseIds } from './parse.ts';

/** `whydrop explain CAUSE`. @returns the exit code */
export async function runExplain([id = '']: readonly string[]): Promise<number> {
  const [present] = presentCauseIds('explain', [id], rules);
  const rule = rules.find((candidate) => candidate.id === present);
  if (rule !== undefined) await print(renderCausePage(rule));
  return 0;
}
