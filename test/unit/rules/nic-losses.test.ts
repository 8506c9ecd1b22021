import { expect, test } from 'vitest';
import cloudAllowance from '../../../rules/nic/cloud-allowance.ts';
import crcErrors from '../../../rules/nic/nic-crc-errors.ts';
import duplexMismatch from '../../../rules/nic/nic-duplex-mismatch.ts';
import hwFilter from '../../../rules/nic/nic-hw-filter.ts';
import lengthMtu from '../../../rules/nic/nic-length-mtu.ts';
import pause from '../../../rules/nic/nic-pause.ts';
import rxAlloc from '../../../rules/nic/nic-rx-alloc.ts';
import rxFifo from '../../../rules/nic/nic-rx-fifo.ts';
import rxRing from '../../../rules/nic/nic-rx-ring.ts';
import txRing from '../../../rules/nic/nic-tx-ring.ts';
import txTimeout from '../../../rules/nic/nic-tx-timeout.ts';
import { severityOf } from '../../../src/engine/rank.ts';
import type { CauseFinding, Finding, JudgeWindow } from '../../../src/model/rule.ts';
import { causesOf, window } from './evidence.ts';
import { cardWindow, type CardEvidence, type CardWindow } from './nic-evidence.ts';

interface CardRule {
  readonly id: string;
  judge(evidence: CardEvidence, window: JudgeWindow): readonly Finding[];
}

const ring: CardRule = {
  id: rxRing.id,
  judge: (evidence, window) =>
    rxRing.judge({ ...evidence, softnet: undefined, sysctl: undefined }, window),
};

const rules: readonly CardRule[] = [
  ring,
  rxFifo,
  rxAlloc,
  crcErrors,
  lengthMtu,
  txRing,
  txTimeout,
  hwFilter,
  cloudAllowance,
  pause,
  duplexMismatch,
];

interface Judged {
  readonly id: string;
  readonly cause: CauseFinding;
}

/** What all rules of network cards say. */
function judgeCard(card: CardWindow): readonly Judged[] {
  const evidence = cardWindow(card);
  return rules.flatMap((rule) =>
    causesOf(rule.judge(evidence, window)).map((cause) => ({ id: rule.id, cause })),
  );
}

/** Cause, packets, confidence, severity. */
type Verdict = readonly [id: string, packets: number, confidence: string, severity: string];

function verdicts(card: CardWindow): readonly Verdict[] {
  return judgeCard(card).map(({ id, cause }) => [
    id,
    cause.packets,
    cause.confidence,
    severityOf(cause),
  ]);
}

const cases: readonly (readonly [what: string, card: CardWindow, expected: readonly Verdict[]])[] =
  [
    // Damage and length.
    [
      'CRC errors of the interface, twice counted',
      { driver: 'igb', statistics: { rx_crc_errors: 200 }, link: { rxCrc: 200n } },
      [['nic-crc-errors', 200, 'certain', 'critical']],
    ],
    [
      'CRC errors of a card nobody described',
      { link: { rxCrc: 9n } },
      [['nic-crc-errors', 9, 'certain', 'notice']],
    ],
    [
      'symbol errors of mlx5',
      { driver: 'mlx5_core', statistics: { rx_symbol_err_phy: 50 } },
      [['nic-crc-errors', 50, 'certain', 'warning']],
    ],
    [
      'a sum of all bad frames is no proof of damage',
      { driver: 'r8169', statistics: { rx_errors: 50 } },
      [['nic-crc-errors', 50, 'likely', 'warning']],
    ],
    [
      'a bad header of virtio_net is no damage',
      { driver: 'virtio_net', link: { rxFrame: 9n } },
      [],
    ],
    [
      'jumbo frames into a port that takes none',
      { driver: 'mlx5_core', statistics: { rx_oversize_pkts_phy: 300 } },
      [['nic-length-mtu', 300, 'likely', 'critical']],
    ],
    [
      'frames that damage cut are no wrong length',
      {
        driver: 'igb',
        statistics: { rx_short_length_errors: 30, rx_crc_errors: 70 },
        link: { rxCrc: 70n, rxLength: 30n },
      },
      [['nic-crc-errors', 70, 'certain', 'warning']],
    ],
    // Buffers of card and driver.
    [
      'mlx5: the port buffer',
      {
        driver: 'mlx5_core',
        statistics: { rx_discards_phy: 5000, rx_prio0_discards: 5000, rx_out_of_buffer: 0 },
      },
      [['nic-rx-fifo', 5000, 'certain', 'critical']],
    ],
    [
      'ixgbe: the port buffer, from the interface alone',
      { driver: 'ixgbe', link: { rxMissed: 40n } },
      [['nic-rx-fifo', 40, 'certain', 'warning']],
    ],
    [
      'e1000e: full because the ring was empty',
      {
        driver: 'e1000e',
        statistics: { rx_no_buffer_count: 900, rx_missed_errors: 800 },
        link: { rxMissed: 800n },
      },
      [['nic-rx-ring', 800, 'certain', 'critical']],
    ],
    [
      'igb: part ring, part port; each packet once',
      {
        driver: 'igb',
        statistics: { rx_no_buffer_count: 100, rx_missed_errors: 1000 },
        link: { rxMissed: 1000n, rxFifo: 1000n },
      },
      [
        ['nic-rx-ring', 100, 'certain', 'warning'],
        ['nic-rx-fifo', 900, 'certain', 'critical'],
      ],
    ],
    [
      'no memory, and loss',
      { driver: 'bnxt_en', statistics: { rx_total_oom_discards: 30 }, link: { rxDropped: 25n } },
      [['nic-rx-alloc', 25, 'likely', 'warning']],
    ],
    [
      'no memory, tried again',
      { driver: 'ixgbe', statistics: { alloc_rx_page_failed: 30 } },
      [['nic-rx-alloc', 0, 'likely', 'notice']],
    ],
    [
      'ena: what the empty ring lost is counted there',
      {
        driver: 'ena',
        statistics: { queue_0_rx_page_alloc_fail: 50, queue_0_rx_empty_rx_ring: 3 },
        link: { rxDropped: 40n },
      },
      [
        ['nic-rx-ring', 40, 'certain', 'warning'],
        ['nic-rx-alloc', 0, 'likely', 'notice'],
      ],
    ],
    // Sending.
    [
      'hv_netvsc: the host takes no more',
      { driver: 'hv_netvsc', statistics: { tx_no_space: 60 } },
      [['nic-tx-ring', 60, 'certain', 'warning']],
    ],
    [
      'a full ring that stops the queue loses nothing',
      { driver: 'vmxnet3', statistics: { 'ring full': 600 } },
      [],
    ],
    [
      'a link that went down is another cause',
      {
        driver: 'mlx5_core',
        statistics: { tx_discards_phy: 60 },
        link: { operstate: 'down' },
      },
      [],
    ],
    [
      'a link that restarted is another cause',
      {
        driver: 'mlx5_core',
        statistics: { tx_discards_phy: 60 },
        link: { carrierChanges: 2n },
      },
      [],
    ],
    [
      'a stuck queue, known to kernel and driver',
      { driver: 'igb', statistics: { tx_timeout_count: 1 }, txTimeouts: 1 },
      [['nic-tx-timeout', 1, 'certain', 'notice']],
    ],
    [
      'a stuck queue of a driver nobody described',
      { txTimeouts: 2 },
      [['nic-tx-timeout', 2, 'certain', 'notice']],
    ],
    // Beyond the host.
    [
      'ena: beyond the limit of the instance',
      {
        driver: 'ena',
        statistics: { pps_allowance_exceeded: 4000, bw_out_allowance_exceeded: 10 },
      },
      [['cloud-allowance', 4000, 'certain', 'warning']],
    ],
    [
      'frames for others, refused by the card',
      { driver: 'mlx5_core', statistics: { rx_steer_missed_packets: 1_000_000 } },
      [['nic-hw-filter', 0, 'possible', 'notice']],
    ],
    [
      'pause frames: a few are no news',
      { driver: 'igb', statistics: { rx_flow_control_xoff: 50 } },
      [],
    ],
    [
      'pause frames: many are a notice',
      { driver: 'igb', statistics: { rx_flow_control_xoff: 51 } },
      [['nic-pause', 0, 'possible', 'notice']],
    ],
    [
      'a pause storm',
      { driver: 'mlx5_core', statistics: { tx_pause_storm_error_events: 1 } },
      [['nic-pause', 0, 'certain', 'notice']],
    ],
    // Duplex.
    [
      'late collisions in half duplex',
      { link: { txWindow: 150n }, settings: { duplex: 'half', speedMbps: 100 } },
      [['nic-duplex-mismatch', 150, 'certain', 'critical']],
    ],
    [
      'late collisions, duplex unknown',
      { link: { txWindow: 150n } },
      [['nic-duplex-mismatch', 150, 'likely', 'critical']],
    ],
    [
      'half duplex, no collision yet',
      { settings: { duplex: 'half', speedMbps: 100 } },
      [['nic-duplex-mismatch', 0, 'possible', 'notice']],
    ],
    ['a hub', { settings: { duplex: 'half', speedMbps: 10 } }, []],
    [
      'half duplex without a link is what some cards say then',
      { link: { operstate: 'down' }, settings: { duplex: 'half', speedMbps: 1000 } },
      [],
    ],
    ['full duplex', { settings: { duplex: 'full', speedMbps: 1000 } }, []],
    ['a healthy card with a lifetime of errors', { sinceBoot: 123_456_789n }, []],
  ];

test.each(cases)('%s', (_, card, expected) => {
  expect(verdicts(card)).toEqual(expected);
});

test('without ethtool, the interface tells damage and length', () => {
  const blind = (card: CardWindow) => ({ ...cardWindow(card), ethtool: undefined });
  const damaged = blind({ link: { rxCrc: 50n, rxLength: 5n } });
  expect(causesOf(crcErrors.judge(damaged, window))).toMatchObject([
    { packets: 50, confidence: 'certain', scope: { interface: 'eth0' }, beforeEvents: true },
  ]);
  expect(lengthMtu.judge(damaged, window)).toEqual([]);
  const long = blind({ link: { rxLength: 50n, mtu: 1400 } });
  const [cause] = causesOf(lengthMtu.judge(long, window));
  expect(cause).toMatchObject({ packets: 50 });
  expect(cause?.because.map(({ text }) => text)).toContain('the MTU of eth0 is 1400');
  // Which buffer rx_missed_errors stands for, only the driver tells.
  expect(rxFifo.judge(blind({ link: { rxMissed: 50n } }), window)).toEqual([]);
});

test('the advice of the cloud names the limit that was exceeded', () => {
  const [dns] = judgeCard({ driver: 'ena', statistics: { linklocal_allowance_exceeded: 500 } });
  const [step] = dns?.cause.fixes[0]?.steps ?? [];
  expect(step?.kind === 'manual' ? step.text : '').toContain('a DNS cache');
  expect(dns?.cause.fixes[0]?.expect?.counter).toBe('ethtool eth0.linklocal_allowance_exceeded');
});

test('a transmit ring is enlarged only as far as it goes', () => {
  const advice = (tx: number) => {
    const [finding] = judgeCard({
      driver: 'hv_netvsc',
      statistics: { tx_no_space: 60 },
      settings: { ring: { tx, txMax: 1024 } },
    });
    const [step] = finding?.cause.fixes[0]?.steps ?? [];
    return step?.kind === 'manual' ? step.text : '';
  };
  expect(advice(192)).toContain('ethtool -G eth0 tx 384');
  expect(advice(1024)).toContain('at its maximum (1024)');
});
