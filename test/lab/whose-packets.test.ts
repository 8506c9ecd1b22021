import { stat } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startBpfCapture } from '../../src/capture/bpf/capture.ts';
import { EtherType, type DropCount } from '../../src/model/drops.ts';
import type { Report, Whereabouts } from '../../src/model/report.ts';
import {
  frameAddresses,
  inside,
  macOf,
  makePair,
  nft,
  RECEIVER,
  SENDER,
  type Pair,
} from './network.ts';
import { labMissing } from './requirements.ts';
import { sendFrames, sendUdp } from './traffic.ts';
import { diagnoseDuring } from './whydrop.ts';

const missing = await labMissing();

const SENDER6 = 'fd77::1';
const RECEIVER6 = 'fd77::2';

test.skipIf(missing !== null)(
  'whose packets: interface, namespace and flow, in the capture and in the report',
  async () => {
    const pair = await makePair();
    onTestFinished(() => pair.cleanUp.run());
    const { a, b } = pair;
    await inside(a, `ip addr add ${SENDER6}/64 dev va nodad`);
    await inside(b, `ip addr add ${RECEIVER6}/64 dev vb nodad`);
    // Known, so that the packet does not wait for its neighbour until the window is over.
    await inside(
      a,
      `ip neigh replace ${RECEIVER6} dev va lladdr ${await macOf(b, 'vb')} nud permanent`,
    );
    await nft(b, 'table arp t { chain i { type filter hook input priority 0; drop;\n}\n}');
    await nft(
      b,
      'table netdev t { chain i { type filter hook ingress device vb priority 0; vlan id 7 drop;\n}\n}',
    );
    await nft(
      a,
      'table inet t { chain o { type filter hook output priority 0; udp dport 6000 counter drop;\n}\n}',
    );

    const capture = await startBpfCapture();
    if (capture.status !== 'ok') throw new Error(capture.reason);
    onTestFinished(async () => void (await capture.value.stop()));
    capture.value.mark('window-open');
    const { reports } = await diagnoseDuring(
      [a, b].map((netns) => ({ netns, captures: ['bpf'] as const })),
      () => lose(pair),
    );
    const seen = await capture.value.stop();
    if (seen.status !== 'ok') throw new Error(seen.reason);

    const inodes = await Promise.all([a, b].map(async (netns) => inodeOf(netns)));
    const dropsIn = (netns: number | undefined, reason: string, protocol: number): DropCount[] =>
      seen.value.drops.filter(
        (drop) =>
          drop.details?.netns === netns && drop.reason === reason && drop.protocol === protocol,
      );
    const [inA, inB] = inodes;
    const ends = { source: SENDER, destination: RECEIVER };

    // No device for VLAN 100: __netif_receive_skb_core takes the tag away and calls it another host's.
    const toOther = { ...ends, ports: { source: 1000, destination: 1001 } };
    expect(dropsIn(inB, 'OTHERHOST', EtherType.IPv4)).toMatchObject([
      { packets: 3, location: 'ip_rcv_core', details: { interface: 'vb', topFlows: [toOther] } },
    ]);
    // Refused before that, at the ingress hook, it still has its tag.
    expect(dropsIn(inB, 'NETFILTER_DROP', EtherType.IPv4)).toMatchObject([
      { packets: 3, details: { interface: 'vb', topFlows: [{ ...toOther, vlan: 7 }] } },
    ]);
    const toClosed = { ...ends, ports: { destination: 81 } };
    expect(dropsIn(inB, 'NO_SOCKET', EtherType.IPv4)).toMatchObject([
      {
        packets: 1,
        location: 'tcp_v4_rcv',
        details: { interface: 'vb', ipProtocol: 6, topFlows: [toClosed] },
      },
    ]);
    const ends6 = { source: SENDER6, destination: RECEIVER6, ports: { destination: 4000 } };
    expect(dropsIn(inB, 'NO_SOCKET', EtherType.IPv6)).toMatchObject([
      { packets: 1, details: { interface: 'vb', ipProtocol: 17, topFlows: [ends6] } },
    ]);
    expect(dropsIn(inB, 'NETFILTER_DROP', EtherType.ARP)).toMatchObject([
      {
        packets: 2,
        details: {
          interface: 'vb',
          ipProtocol: null,
          topFlows: [{ ...ends, arpOperation: 1, packets: 2 }],
        },
      },
    ]);
    const [egress, ...others] = dropsIn(inA, 'NETFILTER_DROP', EtherType.IPv4);
    expect(others).toEqual([]);
    expect(egress).toMatchObject({
      packets: 4,
      details: { interface: 'va', topFlows: [{ ...ends, ports: { destination: 6000 } }] },
    });
    expect(egress?.details?.topFlows[0]?.socket).toBeGreaterThan(0);
    const [unknown] = dropsIn(inB, 'UNHANDLED_PROTO', 0x88b5);
    expect(unknown?.details?.topFlows).toMatchObject([
      { source: await macOf(a, 'va'), destination: await macOf(b, 'vb'), packets: 1 },
    ]);

    const [ofA, ofB] = reports;
    expect(flowsOn('vb', ofB)).toEqual(
      expect.arrayContaining([
        'UDP 10.77.0.1:1000 → 10.77.0.2:1001',
        expect.stringMatching(/^TCP 10\.77\.0\.1:\d+ → 10\.77\.0\.2:81$/),
        expect.stringMatching(/^UDP \[fd77::1\]:\d+ → \[fd77::2\]:4000$/),
      ]),
    );
    const [ofVlan, ofArp] = ofB?.causes ?? [];
    expect(ofVlan).toMatchObject({
      packets: 3,
      scope: { interface: 'vb', rule: 'netdev t i: vlan id 7 drop' },
    });
    expect(ofVlan?.because).toContainEqual(
      expect.objectContaining({ text: '3 of them: VLAN 7 UDP 10.77.0.1:1000 → 10.77.0.2:1001' }),
    );
    expect(ofArp).toMatchObject({
      packets: 2,
      scope: { interface: 'vb', rule: 'arp t i: drop' },
    });
    expect(ofArp?.because).toContainEqual(
      expect.objectContaining({ text: '2 of them: ARP request 10.77.0.1 → 10.77.0.2' }),
    );
    expect(ofA?.causes).toMatchObject([{ scope: { netns: a, interface: 'va' }, packets: 4 }]);
    expect(ofA?.causes[0]?.because.map(({ text }) => text)).toContainEqual(
      expect.stringMatching(/^4 of them: UDP 10\.77\.0\.1:\d+ → 10\.77\.0\.2:6000$/),
    );
  },
);

/** A few packets of each kind, none of which arrives. */
async function lose(pair: Pair): Promise<void> {
  const { a } = pair;
  const addresses = await frameAddresses(pair);
  const udp = `4500002800000000401166290a4d00010a4d000203e803e900140000${'00'.repeat(12)}`;
  await sendFrames(a, 'va', 3, `${addresses}810000640800${udp}`);
  await sendFrames(a, 'va', 3, `${addresses}810000070800${udp}`);
  await inside(
    a,
    `perl -MSocket -e socket(S,2,1,0);connect(S,sockaddr_in(81,inet_aton("${RECEIVER}")))`,
  ).catch(() => null);
  await inside(
    a,
    `perl -MSocket=:all -e socket(S,AF_INET6,SOCK_DGRAM,0);send(S,"x",0,pack_sockaddr_in6(4000,inet_pton(AF_INET6,"${RECEIVER6}")))`,
  );
  const request = `0001080006040001${addresses.slice(12)}0a4d00010000000000000a4d0002${'00'.repeat(18)}`;
  await sendFrames(a, 'va', 2, `${addresses}0806${request}`);
  await sendUdp({ from: a, to: RECEIVER, port: 6000, packets: 4, perSecond: 0 });
  await sendFrames(a, 'va', 1, `${addresses}88b5${'00'.repeat(46)}`);
}

/** Of drops that are no cause: harmless or unexplained. */
function flowsOn(iface: string, report: Report | undefined): readonly string[] {
  const drops: readonly Whereabouts[] = [...(report?.benign ?? []), ...(report?.unexplained ?? [])];
  return drops
    .filter((drop) => drop.interface === iface)
    .flatMap(({ flows = [] }) => flows.map(({ flow }) => flow));
}

async function inodeOf(netns: string): Promise<number> {
  return (await stat(`/run/netns/${netns}`)).ino;
}
