import { readFileSync } from 'node:fs';
import { Ajv, type AnySchema } from 'ajv';
import { expect, test } from 'vitest';
import {
  possibleDiagnosis,
  type Capability,
  type PossibleDiagnosis,
  type SelfCheck,
} from '../../../src/model/self-check.ts';
import { renderSelfCheck } from '../../../src/render/self-check.ts';

const capability = (id: string, more: Partial<Capability> = {}): Capability => ({
  id,
  group: 'capture',
  title: id,
  status: 'ok',
  found: 'there',
  ...more,
});
const missing = { status: 'missing' } as const;

const cases: readonly (readonly [PossibleDiagnosis, readonly Capability[]])[] = [
  ['full', [capability('bpf'), capability('tracefs', { status: 'not-needed' })]],
  ['full', [capability('bpf'), capability('journal', { ...missing, group: 'fix' })]],
  ['partial', [capability('bpf', missing), capability('tracefs')]],
  ['partial', [capability('bpf'), capability('nft', { ...missing, group: 'tools' })]],
  ['none', [capability('bpf', missing), capability('tracefs', missing), capability('nft')]],
  ['none', []],
];

test.each(cases)('%s diagnosis', (diagnosis, capabilities) => {
  expect(possibleDiagnosis(capabilities)).toBe(diagnosis);
});

const sample: SelfCheck = {
  schema: 'whydrop.self-check/1',
  tool: { name: 'whydrop', version: '0.1.0' },
  host: { hostname: 'web1', kernel: '6.18.44', distribution: '', root: true },
  diagnosis: 'partial',
  capabilities: [
    capability('bpf'),
    capability('nft', {
      ...missing,
      group: 'tools',
      found: 'it does not run: \u001B[31mred\u001B[0m',
      without: 'rules cannot be named',
      help: 'apt install nftables',
    }),
  ],
};

test('says what is missing, what that costs, and what helps; nothing raw from the machine', () => {
  const text = renderSelfCheck(sample, { width: 80, color: false, plain: true });
  const lines = text.split('\n');
  expect(lines[0]).toMatch(/^WARNING: .*: 1 thing missing$/);
  expect(lines).toContain('  ok          bpf: there');
  const nft = lines.findIndex((line) => line.startsWith('  missing     nft: it does not run: '));
  expect(lines.slice(nft + 1, nft + 3)).toEqual([
    '              Without it: rules cannot be named.',
    '              This helps: apt install nftables',
  ]);
  expect(text).not.toContain('\u001B');
});

test('the sample is valid by docs/self-check.schema.json', () => {
  const schema = JSON.parse(readFileSync('docs/self-check.schema.json', 'utf8')) as AnySchema;
  const validate = new Ajv({ strict: true, allErrors: true }).compile(schema);
  expect([validate(sample), validate.errors]).toEqual([true, null]);
  expect(validate({ ...sample, diagnosis: 'fine' })).toBe(false);
});
