import type { Qdisc } from '../../checks/qdisc.ts';
import type { Fix } from '../../src/model/fix.ts';
import type { QueueRise } from './queue-rises.ts';

/** They hold packets back to keep a rate. */
const SHAPERS: ReadonlySet<string> = new Set(['tbf', 'htb', 'hfsc', 'cake', 'cbq']);
/** Plain queues, which fq_codel replaces well. */
const PLAIN: ReadonlySet<string> = new Set(['pfifo', 'bfifo', 'pfifo_fast', 'pfifo_head_drop']);

/** What keeps a rate there. Undefined: nothing but the line itself. */
export function shaperOf(root: Qdisc, leaf: Qdisc): Qdisc | undefined {
  return [leaf, root].find(
    ({ kind, options }) => SHAPERS.has(kind) && (kind !== 'cake' || 'bandwidth' in options),
  );
}

/** What lets more through a queue that drops, or makes it hurt less. */
export function fixesFor({ device, root, leaf }: QueueRise): readonly Fix[] {
  if (leaf.kind === 'netem' || root.kind === 'netem') {
    return [
      {
        id: `remove-netem-${device}`,
        title: `End the emulation of a bad network on ${device}`,
        risk: 'disruptive',
        cost: 'whoever runs the test will miss it',
        takesEffect: 'at-once',
        steps: [
          {
            kind: 'command',
            argv: ['tc', 'qdisc', 'del', 'dev', device, 'root'],
            why: 'removes it',
          },
        ],
      },
    ];
  }
  const shaper = shaperOf(root, leaf);
  if (shaper !== undefined) {
    return [
      {
        id: `raise-rate-${device}`,
        title: `Let ${shaper.kind} on ${device} pass more, or send less`,
        risk: 'disruptive',
        cost: 'the rate protects whatever is behind it: a slower link, a contract, other users',
        takesEffect: 'at-once',
        steps: [
          {
            kind: 'manual',
            text: `Look at the rate first: tc -s qdisc show dev ${device}; tc -s class show dev ${device}. If the link behind it takes more, change it with tc qdisc change (or tc class change) and where it is set up at boot.`,
          },
        ],
      },
    ];
  }
  if (!PLAIN.has(leaf.kind)) return [];
  return [
    {
      id: `fair-queue-${device}`,
      title: `Share ${device} fairly, with short delays (fq_codel instead of ${leaf.kind})`,
      risk: 'caution',
      cost: 'packets in the queue now are lost; a link that is too small stays too small, but one flow does not starve the others',
      takesEffect: 'at-once',
      steps: [
        {
          kind: 'command',
          argv: ['tc', 'qdisc', 'replace', 'dev', device, 'root', 'fq_codel'],
          why: 'replaces the queue; sysctl net.core.default_qdisc does it for new interfaces',
        },
      ],
    },
  ];
}
