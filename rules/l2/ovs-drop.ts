import { subsystemReasons } from '../../src/catalogue/reasons/subsystems.ts';
import { defineByReason } from '../by-reason.ts';
import { policySeverity } from '../protocol-counters.ts';

const REASONS = new Set(
  subsystemReasons.filter(({ causes }) => causes.includes('ovs-drop')).map(({ name }) => name),
);
/** Where tracefs has no name for the reason. */
const LOCATIONS = /^(?:ovs_|queue_userspace_packet$|do_execute_actions$|do_output$)/;

export default defineByReason({
  id: 'ovs-drop',
  title: 'Open vSwitch drops packets',
  reviewed: '2026-11-22',
  matches: ({ reason, location, module }) =>
    (reason !== null && (REASONS.has(reason) || reason.startsWith('OPENVSWITCH reason '))) ||
    module === 'openvswitch' ||
    LOCATIONS.test(location),
  confidence: 'likely',
  // Whether a flow that sends a packet nowhere was meant to, only its author knows.
  severityAtMost: policySeverity,
  means:
    'The flow table of Open vSwitch sends these packets nowhere, limits their rate, or failed on them. It is a fault only if this traffic is wanted.',
  fixes: [
    {
      id: 'look-at-flows',
      title: 'Find the flow that drops them',
      risk: 'none',
      cost: 'None: flows are only listed.',
      steps: [
        {
          kind: 'command',
          argv: ['ovs-appctl', 'dpctl/dump-flows', '-m'],
          why: 'flows with actions:drop and a rising count of packets; the reason is in drop(…)',
        },
        {
          kind: 'command',
          argv: ['ovs-appctl', 'dpctl/show', '-s'],
          why: 'lost counts packets that the daemon was too slow for',
        },
      ],
      takesEffect: 'at-once',
    },
  ],
  explain: {
    see: 'Virtual machines or containers on Open vSwitch do not reach something.',
    kernel:
      'The datapath of Open vSwitch (net/openvswitch) has drop reasons of its own since 6.6: `OVS_DROP_EXPLICIT` (a flow says drop), `OVS_DROP_LAST_ACTION` (no action of the flow sent it anywhere), `OVS_DROP_METER` (a rate limit), `OVS_DROP_RECURSION_LIMIT` and others. tracefs shows their numbers only.',
    confirm:
      '`ovs-appctl dpctl/dump-flows -m`; `ovs-appctl dpctl/show -s`: lost; `ovs-appctl ofproto/trace` asks what becomes of a packet.',
    fix: 'Change the flows where they are made (OVN, OpenStack, the network plug-in), not by hand.',
    normal: 'Where flows are to block traffic, and for packets that no port wants.',
    references: ['net/openvswitch/drop.h (Linux 6.18)', 'ovs-dpctl(8), ovs-actions(7)'],
  },
});
