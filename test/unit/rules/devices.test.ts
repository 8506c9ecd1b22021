import { describe, expect, test } from 'vitest';
import type { Link } from '../../../checks/link.ts';
import bondDegraded from '../../../rules/l2/bond-degraded.ts';
import bondInactive from '../../../rules/l2/bond-inactive-slave.ts';
import loop from '../../../rules/l2/bridge-loop-or-bad-mac.ts';
import noTarget from '../../../rules/l2/bridge-no-target.ts';
import stpBlocked from '../../../rules/l2/bridge-stp-blocked.ts';
import vlanFilter from '../../../rules/l2/bridge-vlan-filter.ts';
import unhandled from '../../../rules/l2/l2-unhandled-proto.ts';
import macvlan from '../../../rules/l2/macvlan-broadcast-queue.ts';
import tun from '../../../rules/l2/tun-tap-queue-full.ts';
import vethPeer from '../../../rules/l2/veth-peer.ts';
import vlanNoDevice from '../../../rules/l2/vlan-no-device.ts';
import vxlan from '../../../rules/l2/vxlan-misconfig.ts';
import type { DropCapture, DropCount, DropDetails } from '../../../src/model/drops.ts';
import type { Finding } from '../../../src/model/rule.ts';
import { capture, causesOf, foreign, links, window } from './evidence.ts';

const drop = (reason: string, location: string, packets: number): DropCount => ({
  reason,
  location,
  protocol: 0x0800,
  packets,
  edgePackets: 0,
});

/** As the BPF capture tells it. */
function on(name: string, dropped: DropCount, details: Partial<DropDetails> = {}): DropCount {
  return {
    ...dropped,
    details: {
      netns: 1,
      ifindex: 2,
      interface: name,
      ipProtocol: 17,
      topFlows: [],
      flowCount: 1,
      flowsApproximate: false,
      samples: [],
      stack: [],
      ...details,
    },
  };
}

const flowTo = (destination: string): Partial<DropDetails> => ({
  topFlows: [{ source: '10.0.0.1', destination, packets: 100 }],
});

/** `why`, once: a benign finding that claims something. */
function benignClaims(findings: readonly Finding[]): readonly (number | undefined)[] {
  return findings
    .filter(({ kind }) => kind === 'benign')
    .flatMap(({ claims }) => claims.map(({ packets }) => packets));
}

describe('tun-tap-queue-full', () => {
  const full = (packets: number) => drop('FULL_RING', 'tun_net_xmit', packets);
  const judge = (tap: Partial<Link>, drops: DropCapture | undefined) =>
    causesOf(tun.judge({ link: links({ tap0: { kind: 'tun', ...tap } }), drops }, window));

  test('a slow reader: certain, with a longer queue to try', () => {
    const tap = { txDropped: 100n, txPackets: 900n, txQueueLength: 1000 };
    expect(judge(tap, capture([full(100)]))).toMatchObject([
      {
        confidence: 'certain',
        packets: 100,
        traffic: { packets: 1000 },
        scope: { interface: 'tap0' },
        fixes: [
          { steps: [{ argv: ['ip', 'link', 'set', 'dev', 'tap0', 'txqueuelen', '2000'] }] },
          { id: 'faster-reader-tap0' },
        ],
        claims: [
          { interface: 'tap0', packets: 100 },
          { reason: null, packets: 100 },
        ],
      },
    ]);
  });

  test('a reader that hangs: no queue is long enough', () => {
    const [cause] = judge({ txDropped: 100n, txPackets: 0n }, capture([full(100)]));
    expect(cause?.fixes.map(({ id }) => id)).toEqual(['wake-reader-tap0']);
  });

  test('broadcasts to a paused machine alarm nobody', () => {
    const severity = (packets: bigint, destination: string) =>
      judge(
        { txDropped: packets },
        capture([on('tap0', full(Number(packets)), flowTo(destination))]),
      )[0]?.severityAtMost;
    expect(severity(25n, '10.0.0.2')).toBe('notice');
    expect(severity(26n, '10.0.0.2')).toBeUndefined();
    expect(severity(500n, '224.0.0.251')).toBe('notice');
  });

  test.each<[string, Partial<Link>, DropCount]>([
    ['dropped by another namespace', { txDropped: 0n }, full(100)],
    ['another interface', { txDropped: 100n }, on('tap1', full(100))],
    ['no tun device', { kind: 'veth', txDropped: 100n }, full(100)],
    ['another reason', { txDropped: 100n }, drop('TAP_FILTER', 'tun_net_xmit', 100)],
  ])('%s: no finding', (_what, tap, dropped) => {
    expect(judge(tap, capture([dropped]))).toEqual([]);
  });

  test('drops were not watched: the counter alone makes it likely', () => {
    expect(judge({ txDropped: 100n }, undefined)).toMatchObject([
      { confidence: 'likely', packets: 100 },
    ]);
  });
});

describe('veth-peer', () => {
  const refused = drop('NOT_SPECIFIED', '__dev_forward_skb2', 100);
  const judge = (veth: Partial<Link>, drops: DropCapture | undefined, peer?: Partial<Link>) =>
    causesOf(
      vethPeer.judge(
        {
          link: links({
            veth0: { kind: 'veth', txDropped: 100n, txPackets: 100n, ...veth },
            ...(peer && { peer0: peer }),
          }),
          drops,
        },
        window,
      ),
    );

  test('a smaller MTU at the other end: certain when it is in view, likely when not', () => {
    expect(judge({ lower: 'peer0' }, capture([refused]), { mtu: 1400 })).toMatchObject([
      {
        confidence: 'certain',
        packets: 100,
        traffic: { packets: 200 },
        fixes: [{ steps: [{ argv: ['ip', 'link', 'set', 'dev', 'veth0', 'mtu', '1400'] }] }],
      },
    ]);
    expect(judge({}, capture([refused]))).toMatchObject([
      { confidence: 'likely', packets: 100, fixes: [{ steps: [{ kind: 'manual' }] }] },
    ]);
  });

  test('look-alikes: a full input queue behind it, a link that is down, an equal MTU', () => {
    expect(judge({}, capture([drop('CPU_BACKLOG', 'enqueue_to_backlog', 100)]))).toEqual([]);
    expect(judge({ operstate: 'down' }, capture([refused]))).toEqual([]);
    expect(judge({ lower: 'peer0' }, capture([refused]), { mtu: 1500 })).toEqual([]);
  });

  test('a link that came up in the window is starting', () => {
    expect(judge({ carrierChanges: 1n }, capture([refused]))).toEqual([]);
  });

  test('drops were not watched: only an MTU in view tells', () => {
    expect(judge({}, undefined)).toEqual([]);
    expect(judge({ lower: 'peer0' }, undefined, { mtu: 1400 })).toMatchObject([
      { confidence: 'likely', packets: 100 },
    ]);
  });
});

describe('vxlan-misconfig', () => {
  const nowhere = (packets: number) => drop('NO_TX_TARGET', 'vxlan_xmit', packets);
  const stranger = drop('VXLAN_VNI_NOT_FOUND', 'vxlan_rcv', 100);
  const judge = (vx: Partial<Link>, drops: DropCapture | undefined, when = window) =>
    vxlan.judge({ link: links({ vx0: { kind: 'vxlan', vxlanId: 42, ...vx } }), drops }, when);

  test('no remote: certain, bounded by the counter', () => {
    expect(
      causesOf(judge({ txDropped: 90n, txPackets: 10n }, capture([nowhere(95)]))),
    ).toMatchObject([
      {
        confidence: 'certain',
        packets: 90,
        traffic: { packets: 100 },
        scope: { interface: 'vx0' },
      },
    ]);
  });

  test('announcements of an idle overlay are harmless', () => {
    const few = judge({ txDropped: 25n }, capture([nowhere(25)]));
    expect([causesOf(few), benignClaims(few)]).toEqual([[], [25, 25]]);
    const chatter = capture([on('vx0', nowhere(200), flowTo('ff02::fb'))]);
    expect(causesOf(judge({ txDropped: 200n }, chatter))).toEqual([]);
  });

  test('a foreign network id is told with those that are known', () => {
    const [cause] = causesOf(judge({}, capture([stranger])));
    expect(cause).toMatchObject({ packets: 100, severityAtMost: 'warning' });
    expect(cause?.because[1]?.text).toContain('42 (vx0)');
  });

  test('before 6.13 the kernel does not say why: possibly a foreign network id', () => {
    const untold = capture([drop('NOT_SPECIFIED', 'vxlan_rcv', 100)]);
    expect(judge({}, untold)).toMatchObject([{ confidence: 'possible', packets: 100 }]);
  });

  test('a foreign network id is not laid at the door of a namespace without VXLAN', () => {
    const link = links({ eth0: {} });
    expect(vxlan.judge({ link, drops: capture([stranger]) }, foreign)).toEqual([]);
  });

  test('a bridge without a target is none', () => {
    const elsewhere = capture([drop('NO_TX_TARGET', 'br_dev_xmit', 100)]);
    expect(judge({ txDropped: 100n }, elsewhere)).toEqual([]);
  });

  test('drops were not watched: the counter makes it likely', () => {
    expect(judge({ txDropped: 100n }, undefined)).toMatchObject([{ confidence: 'likely' }]);
  });
});

describe('vlan-no-device', () => {
  const MAC = '02:00:00:00:00:01';
  const OTHER = '02:00:00:00:00:99';
  const frame = (text: string) => ({
    timeUs: 0,
    link: 'ethernet' as const,
    length: 60,
    bytes: Buffer.from(text.replaceAll(':', ''), 'hex').toString('base64'),
  });
  const ipv4 = (to: string, destination: string) =>
    frame(`${to}:02:00:00:00:00:09:08:00:${'00:'.repeat(16)}${destination}`);
  const ipv6 = (to: string, destination: string) =>
    frame(`${to}:02:00:00:00:00:09:86:dd:${'00:'.repeat(24)}${destination}`);
  const flow = (destination: string, packets: number) => ({
    source: '10.0.0.9',
    destination,
    packets,
  });
  const judge = (packets: number, ...to: readonly string[]) =>
    vlanNoDevice.judge(
      {
        link: links({ eth0: { address: MAC, rxOtherhost: BigInt(packets) } }),
        drops: capture([
          on('eth0', drop('OTHERHOST', 'ip_rcv_core', packets), {
            samples: to.map((mac) => ipv4(mac, '0a:00:00:02')),
            topFlows: [flow('10.0.0.2', packets)],
          }),
        ]),
      },
      window,
    );

  test('frames for our own address, taken for those of another host', () => {
    expect(judge(26, MAC, MAC)).toMatchObject([
      { confidence: 'likely', packets: 26, scope: { interface: 'eth0' } },
    ]);
  });

  test.each<[string, readonly Finding[]]>([
    ['a handful', judge(25, MAC)],
    ['frames for others', judge(200, OTHER)],
    ['nothing was kept of them', judge(200)],
  ])('%s: no finding', (_what, findings) => {
    expect(findings).toEqual([]);
  });

  test.each([
    [0x0800, '10.0.0.2', [ipv4(OTHER, '0a:00:00:03'), ipv4(MAC, '0a:00:00:02')]],
    [
      0x86dd,
      'fd00::2',
      [ipv6(MAC, `fd:00:${'00:'.repeat(13)}02`), ipv6(OTHER, `fd:00:${'00:'.repeat(13)}03`)],
    ],
    // Cut off before the address.
    [0x0800, '10.0.0.2', [frame(OTHER), frame(MAC), ipv4(MAC, '0a:00:00:02')]],
  ])(
    'among frames for others, as a capture gets them: those for the same IP addresses',
    (protocol, ours, samples) => {
      const link = links({ eth0: { address: MAC, rxOtherhost: 350n } });
      const drops = capture([
        {
          ...on('eth0', drop('OTHERHOST', 'ip_rcv_core', 350), {
            samples,
            topFlows: [flow(ours, 100), flow('10.0.0.3', 50), flow('fd00::3', 25)],
          }),
          protocol,
        },
      ]);
      expect(vlanNoDevice.judge({ link, drops }, window)).toMatchObject([
        { packets: 200, flows: [{ destination: ours }], claims: [{ packets: 200 }] },
      ]);
    },
  );

  test('a capture that does not tell the interface cannot know', () => {
    const drops = capture([drop('OTHERHOST', 'ip_rcv_core', 200)]);
    const link = links({ eth0: { address: MAC, rxOtherhost: 200n } });
    expect(vlanNoDevice.judge({ link, drops }, window)).toEqual([]);
  });
});

const port = (of: Partial<Link>): Partial<Link> => ({
  portKind: 'bridge',
  portState: 'forwarding',
  master: 'br0',
  rxPackets: 200n,
  ...of,
});

describe('bridge-stp-blocked', () => {
  const judge = (state: string, packets: number, stp: boolean, rxPackets = 200n) =>
    stpBlocked.judge(
      {
        link: links({ p0: port({ portState: state, rxPackets }), br0: { kind: 'bridge', stp } }),
        drops: capture([drop('BRIDGE_INGRESS_STP_STATE', 'br_handle_frame', packets)]),
      },
      window,
    );

  test.each([
    ['disabled', false, 'warning'],
    ['listening', true, 'notice'],
    ['blocking', false, 'warning'],
  ])('%s: a cause', (state, stp, severityAtMost) => {
    expect(judge(state, 100, stp)).toMatchObject([
      { kind: 'cause', confidence: 'certain', packets: 100, severityAtMost },
    ]);
  });

  test('harmless: what spanning tree blocks, and a few broadcasts', () => {
    expect(judge('blocking', 100, true)).toMatchObject([{ kind: 'benign' }]);
    expect(judge('disabled', 25, false)).toMatchObject([{ kind: 'benign' }]);
  });

  test('no more than came in by the port; nothing where all ports forward', () => {
    expect(judge('disabled', 1000, false, 50n)).toMatchObject([{ packets: 50 }]);
    expect(judge('forwarding', 100, false)).toEqual([]);
  });

  test('drops were not watched: nothing tells', () => {
    const link = links({ p0: port({ portState: 'disabled' }) });
    expect(stpBlocked.judge({ link, drops: undefined }, window)).toEqual([]);
  });
});

describe('bridge-no-target', () => {
  const judge = (p0: Partial<Link>, dropped: DropCount | undefined, p1: Partial<Link> = {}) =>
    noTarget.judge(
      {
        link: links({ p0: port(p0), p1: port({ rxPackets: 0n, ...p1 }), br0: { kind: 'bridge' } }),
        drops: dropped && capture([dropped]),
      },
      window,
    );
  const nowhere = (packets: number) => drop('NO_TX_TARGET', 'br_handle_frame_finish', packets);
  const refused = drop('NOT_SPECIFIED', 'br_handle_frame_finish', 100);
  const tooLong = drop('NOT_SPECIFIED', 'br_dev_queue_push_xmit', 100);

  test.each<[string, readonly string[], string, string]>([
    ['isolation is mostly wanted', ['isolated'], 'likely', 'notice'],
    ['a port that does not flood', ['no flood'], 'likely', 'warning'],
  ])('%s', (_what, portLimits, confidence, severityAtMost) => {
    expect(judge({ portLimits }, nowhere(100))).toMatchObject([
      { kind: 'cause', confidence, packets: 100, severityAtMost },
    ]);
  });

  test('no setting explains it: a host that is gone, a notice', () => {
    expect(judge({}, nowhere(100))).toMatchObject([
      { confidence: 'possible', severityAtMost: 'notice', fixes: [] },
    ]);
  });

  test('a few, or announcements into an empty bridge: harmless', () => {
    expect(judge({}, nowhere(25))).toMatchObject([{ kind: 'benign' }]);
    const chatter = on('br0', nowhere(100), flowTo('224.0.0.251'));
    expect(judge({}, chatter)).toMatchObject([{ kind: 'benign' }]);
  });

  test('a locked port refuses strangers, another one does not', () => {
    expect(judge({ portLimits: ['locked'] }, refused)).toMatchObject([
      { confidence: 'likely', packets: 100, scope: { interface: 'p0' } },
    ]);
  });

  test('known addresses: kept apart by isolation of both ports; else behind the port they came in by', () => {
    const isolated = { portLimits: ['isolated'] };
    expect(judge(isolated, on('p0', refused), isolated)).toMatchObject([
      {
        kind: 'cause',
        packets: 100,
        severityAtMost: 'notice',
        fixes: [
          { steps: [{ argv: ['bridge', 'link', 'set', 'dev', 'p0', 'isolated', 'off'] }, {}] },
        ],
      },
    ]);
    expect(judge({}, on('p0', refused), isolated)).toMatchObject([{ kind: 'benign' }]);
    expect(judge(isolated, on('p0', refused))).toMatchObject([{ kind: 'benign' }]);
    // Without interfaces they may be of either port, but are no more.
    expect(judge(isolated, refused, { ...isolated, rxPackets: 200n })).toMatchObject([
      { packets: 100 },
    ]);
    // Of older kernels it may be the flood that was switched off.
    expect(judge({}, on('p0', refused), { portLimits: ['no flood'] })).toEqual([]);
  });

  test('a port with a smaller MTU than the others', () => {
    expect(judge({}, tooLong, { mtu: 1400 })).toMatchObject([
      {
        packets: 100,
        scope: { interface: 'p1' },
        fixes: [{ steps: [{ argv: ['ip', 'link', 'set', 'dev', 'p1', 'mtu', '1500'] }] }],
      },
    ]);
    expect(judge({}, tooLong)).toEqual([]);
  });

  test('drops of other namespaces: no more than came to the bridges here', () => {
    expect(judge({ rxPackets: 0n, portLimits: ['isolated'] }, nowhere(100))).toEqual([]);
  });

  test('drops were not watched: nothing tells', () => {
    expect(judge({ portLimits: ['isolated'] }, undefined)).toEqual([]);
  });
});

describe('bridge-vlan-filter', () => {
  const judge = (packets: number, vlanFiltering = true, portLimits?: readonly string[]) =>
    vlanFilter.judge(
      {
        link: links({
          p0: port(portLimits === undefined ? {} : { portLimits }),
          br0: { kind: 'bridge', vlanFiltering },
        }),
        drops: capture([drop('NOT_SPECIFIED', 'br_allowed_ingress', packets)]),
      },
      window,
    );

  test('a bridge that filters VLANs, and frames it refused', () => {
    expect(judge(100)).toMatchObject([
      { kind: 'cause', confidence: 'likely', packets: 100, severityAtMost: 'warning' },
    ]);
  });

  test('a few are broadcasts of others; without the filter, or locked, it is something else', () => {
    expect(judge(25)).toMatchObject([{ kind: 'benign' }]);
    expect(judge(100, false)).toEqual([]);
    expect(judge(100, true, ['locked'])).toEqual([]);
  });
});

describe('bridge-loop-or-bad-mac', () => {
  const judge = (reason: string, rxPackets = 200n, where = window) =>
    loop.judge(
      {
        link: links({ p0: port({ rxPackets }) }),
        drops: capture([drop(reason, 'x', 100)]),
        kernelLog: undefined,
      },
      where,
    );

  test.each(['MAC_INVALID_SOURCE', 'LOCAL_MAC', 'RECURSION_LIMIT'])('%s is certain', (reason) => {
    expect(judge(reason)).toMatchObject([{ confidence: 'certain', packets: 100 }]);
  });

  test('where they may be of another namespace they are a hint', () => {
    expect(judge('LOCAL_MAC', 200n, foreign)).toMatchObject([
      { confidence: 'possible', severityAtMost: 'notice' },
    ]);
  });

  test('no more than passed here; other reasons are others', () => {
    expect(judge('LOCAL_MAC', 30n)).toMatchObject([{ packets: 30 }]);
    expect(judge('LOCAL_MAC', 0n)).toEqual([]);
    expect(judge('OTHERHOST')).toEqual([]);
  });

  const atDoor = (portState: string, drops: readonly DropCount[]) =>
    loop.judge(
      {
        link: links({ p0: port({ rxPackets: 200n, portState }) }),
        drops: capture(drops),
        kernelLog: undefined,
      },
      foreign,
    );
  const refused = drop('NOT_SPECIFIED', 'br_handle_frame', 100);

  test('before 6.13: what a port that forwards drops without a reason is possibly one', () => {
    expect(atDoor('forwarding', [on('p0', refused)])).toMatchObject([
      { confidence: 'possible', packets: 100, scope: { interface: 'p0' } },
    ]);
  });

  test('not what a closed port drops there, nor pause frames, nor frames of unknown ports', () => {
    expect(atDoor('blocking', [on('p0', refused)])).toEqual([]);
    expect(atDoor('forwarding', [on('p0', { ...refused, protocol: 0x8808 })])).toEqual([]);
    expect(atDoor('forwarding', [on('p1', refused), refused])).toEqual([]);
  });
});

describe('macvlan-broadcast-queue', () => {
  const dropped = drop('NOT_SPECIFIED', 'macvlan_handle_frame', 100);
  const judge = (drops: DropCapture | undefined, child: Partial<Link> = {}) =>
    macvlan.judge(
      {
        link: links({
          eth0: { rxDropped: 100n, rxPackets: 1000n },
          mv0: { kind: 'macvlan', lower: 'eth0', broadcastQueueLength: 1000, ...child },
        }),
        drops,
      },
      window,
    );

  test('broadcasts that found no room: a longer queue against bursts', () => {
    expect(judge(capture([dropped]))).toMatchObject([
      {
        confidence: 'likely',
        packets: 100,
        scope: { interface: 'eth0' },
        fixes: [
          {
            steps: [
              {
                argv: ['ip', 'link', 'set', 'dev', 'mv0', 'type', 'macvlan', 'bcqueuelen', '2000'],
              },
            ],
          },
        ],
      },
    ]);
  });

  test('the reason of newer kernels makes it certain', () => {
    const named = { ...dropped, reason: 'MACVLAN_BROADCAST_BACKLOG' };
    expect(judge(capture([named]))).toMatchObject([{ confidence: 'certain' }]);
  });

  test('macvlans in containers: only the capture that tells the interface knows', () => {
    const elsewhere = { kind: 'vlan' };
    expect(judge(capture([dropped]), elsewhere)).toEqual([]);
    expect(judge(capture([on('eth0', dropped)]), elsewhere)).toMatchObject([{ fixes: [] }]);
  });

  test('another drop that counts the same, or no capture: no finding', () => {
    expect(judge(capture([drop('UNHANDLED_PROTO', '__netif_receive_skb_core', 100)]))).toEqual([]);
    expect(judge(undefined)).toEqual([]);
  });
});

describe('bonds', () => {
  const bond = (mode: string, of: Partial<Link> = {}) =>
    links({
      bond0: { kind: 'bond', bondMode: mode, aggregator: 1 },
      eth1: {
        portKind: 'bond',
        portState: 'BACKUP',
        master: 'bond0',
        miiStatus: 'UP',
        aggregator: 2,
        rxNoHandler: 100n,
        rxPackets: 1000n,
        ...of,
      },
    });

  test('a standby port refuses its copies: harmless, whatever they are', () => {
    const link = bond('active-backup');
    const findings = bondInactive.judge({ link, drops: undefined }, window);
    expect([findings.length, benignClaims(findings)]).toEqual([1, [100]]);
    expect(bondDegraded.judge({ link, kernelLog: undefined }, window)).toEqual([]);
    const refused = drop('UNHANDLED_PROTO', '__netif_receive_skb_core', 100);
    for (const seen of [refused, on('eth1', { ...refused, protocol: 0x8847 })]) {
      expect(causesOf(unhandled.judge({ link, drops: capture([seen]) }, window))).toEqual([]);
    }
  });

  test('802.3ad has no standby ports: that traffic is lost', () => {
    const link = bond('802.3ad');
    expect(bondDegraded.judge({ link, kernelLog: undefined }, window)).toMatchObject([
      { confidence: 'certain', packets: 100, scope: { interface: 'eth1' } },
    ]);
    expect(bondInactive.judge({ link, drops: undefined }, window)).toEqual([]);
    expect(
      bondDegraded.judge(
        { link: bond('802.3ad', { rxNoHandler: 25n }), kernelLog: undefined },
        window,
      ),
    ).toEqual([]);
  });

  test('a port without a link is a notice', () => {
    const link = bond('active-backup', { miiStatus: 'DOWN' });
    expect(bondDegraded.judge({ link, kernelLog: undefined }, window)).toMatchObject([
      { confidence: 'possible', packets: 0, severityAtMost: 'notice' },
    ]);
  });
});
