import { readFileSync } from 'node:fs';

import { readOutput } from '../../../src/import/read.ts';
import { importReport } from '../../../src/import/report.ts';
import type { ImportReport } from '../../../src/model/import-report.ts';
import { renderImportText } from '../../../src/render/import-text.ts';

/** What whydrop makes of some text. */
export async function importText(text: string): Promise<ImportReport> {
  const output = await readOutput([new TextEncoder().encode(text)]);
  return importReport(output, { file: 'drops.txt', version: '0.0.0' });
}

export function sample(name: string): string {
  return readFileSync(new URL(`../../samples/${name}`, import.meta.url), 'utf8');
}

/** As a terminal shows it, without line breaks. */
export async function shown(report: ImportReport): Promise<string> {
  const options = { width: 100, color: false, plain: true, verbose: false };
  return (await renderImportText(report, options)).replaceAll(/\s+/g, ' ');
}
