import { defineCheck } from '../src/model/check.ts';
import { ok, unread } from '../src/model/reading.ts';

const files = ['/proc/net/sockstat', '/proc/net/sockstat6'] as const;
const limitFiles = [
  '/proc/sys/net/ipv4/ipfrag_high_thresh',
  '/proc/sys/net/ipv6/ip6frag_high_thresh',
] as const;

/** Memory of fragments that wait for the rest of their datagram, and its limit, in one namespace. */
export interface Fragments {
  readonly ipv4?: FragmentMemory;
  readonly ipv6?: FragmentMemory;
}

export interface FragmentMemory {
  /** Datagrams that are not complete. */
  readonly datagrams: number;
  readonly bytes: number;
  /** `ipfrag_high_thresh` or `ip6frag_high_thresh`; beyond it new datagrams are refused. Absent: not readable. */
  readonly limitBytes?: number;
}

export default defineCheck<Fragments>({
  id: 'fragments',
  title: 'Memory of IP fragments',
  sources: [...files, ...limitFiles],
  // The memory is given back when a datagram is complete: only its peak tells.
  sampleEveryMs: 500,
  async read(host) {
    const [text4, text6, limit4, limit6] = await host.readFiles([...files, ...limitFiles]);
    if (text4?.status !== 'ok') return text4 ?? unread('crashed', `${files[0]}: no answer`);
    const ipv4 = parseFragmentMemory(text4.value, 'FRAG');
    if (ipv4 === undefined) return unread('malformed', `${files[0]} has no line FRAG.`);
    const ipv6 = text6?.status === 'ok' ? parseFragmentMemory(text6.value, 'FRAG6') : undefined;
    const limited = (memory: FragmentMemory, limit: typeof limit4): FragmentMemory => {
      const text = limit?.status === 'ok' ? limit.value.trim() : '';
      return /^\d{1,15}$/.test(text) ? { ...memory, limitBytes: Number(text) } : memory;
    };
    return ok({
      ipv4: limited(ipv4, limit4),
      ...(ipv6 !== undefined && { ipv6: limited(ipv6, limit6) }),
    });
  },
});

/** The line `FRAG: inuse 2 memory 2048` (sockstat_seq_show). */
export function parseFragmentMemory(
  text: string,
  line: 'FRAG' | 'FRAG6',
): FragmentMemory | undefined {
  const match = new RegExp(`^${line}: inuse (\\d{1,15}) memory (\\d{1,15})\\s*$`, 'm').exec(text);
  return match === null ? undefined : { datagrams: Number(match[1]), bytes: Number(match[2]) };
}
