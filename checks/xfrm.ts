import { defineCheck } from '../src/model/check.ts';
import { ok, unread, type Reading } from '../src/model/reading.ts';

const file = '/proc/net/xfrm_stat';

/** What IPsec refused in one namespace. */
export interface Xfrm {
  /** By the kernel's names: `XfrmInTmplMismatch` (Documentation/networking/xfrm/xfrm_proc.rst). */
  readonly counters: ReadonlyMap<string, bigint>;
}

export default defineCheck<Xfrm>({
  id: 'xfrm',
  title: 'IPsec (xfrm)',
  sources: [file],
  async read(host) {
    const text = await host.readFile(file);
    if (text.status === 'absent') {
      return unread('not-applicable', `The kernel has no ${file}: IPsec is not built in.`);
    }
    return text.status === 'ok' ? parseXfrmStat(text.value) : text;
  },
  counters: ({ counters }) => counters,
});

/** `XfrmInError             	0` (xfrm_statistics_seq_show). */
export function parseXfrmStat(text: string): Reading<Xfrm> {
  const counters = new Map<string, bigint>();
  let garbled = 0;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [, name = '', value = ''] = /^(Xfrm\w{1,40})\s+(\d{1,20})\s*$/.exec(line) ?? [];
    if (name === '') garbled++;
    else counters.set(name, BigInt(value));
  }
  if (counters.size === 0) return unread('malformed', `${file} has no line that can be read.`);
  return ok({ counters }, garbled === 0 ? [] : [`${file}: lines that cannot be read: ${garbled}.`]);
}
