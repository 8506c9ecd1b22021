import { nstat } from '../counters.ts';
import type { Fault } from '../fault.ts';
import { inside, type Pair } from '../network.ts';
import { serve, steady } from '../traffic.ts';

/** An address of the sender that the receiver would answer through another interface, or not at all. */
export const ELSEWHERE = '192.0.2.7';

export async function asymmetricRoute({ a, b }: Pair): Promise<void> {
  await inside(a, `ip addr add ${ELSEWHERE}/32 dev lo`);
  await inside(b, 'ip link add other type veth peer name other-peer');
  await inside(b, 'ip link set other up');
  await inside(b, 'ip link set other-peer up');
  await inside(b, 'ip route add 192.0.2.0/24 dev other');
}

const reversePath = {
  cause: 'ip-rpfilter',
  confidence: 'certain',
  scope: { interface: 'vb' },
  traffic: (pair) => steady(pair, { source: ELSEWHERE }),
  lost: ({ b }) => nstat(b, 'TcpExtIPReversePathFilter'),
} satisfies Partial<Fault>;

export const strictReversePath = {
  ...reversePath,
  name: 'strict reverse-path filter, asymmetric route',
  lookup: `came in on vb, but the way back to ${ELSEWHERE} goes out on other`,
  async setUp(pair) {
    await asymmetricRoute(pair);
    await inside(pair.b, 'sysctl -qw net.ipv4.conf.vb.rp_filter=1');
    await serve(pair, 'reads');
  },
  cure: { fix: 'ip-rpfilter', capture: 'bpf' },
} satisfies Fault;

export default [
  strictReversePath,
  {
    ...reversePath,
    name: 'loose reverse-path filter, no route back',
    lookup: `came in on vb, and there is no way back to ${ELSEWHERE}`,
    async setUp(pair) {
      await inside(pair.a, `ip addr add ${ELSEWHERE}/32 dev lo`);
      await inside(pair.b, 'sysctl -qw net.ipv4.conf.vb.rp_filter=2');
      await serve(pair, 'reads');
    },
  },
] satisfies readonly Fault[];
