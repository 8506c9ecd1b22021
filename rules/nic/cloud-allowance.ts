import ethtool from '../../checks/ethtool.ts';
import link from '../../checks/link.ts';
import { defineRule } from '../../src/model/rule.ts';
import { cardFinding, handFix } from './card-finding.ts';
import { cards, kindRises, most } from './cards.ts';

/** Statistics of ena; which limit each stands for, and what helps. */
const limits: Readonly<Record<string, readonly [limit: string, advice: string]>> = {
  bw_in_allowance_exceeded: ['inbound bandwidth', 'a larger instance, or fewer bursts of senders'],
  bw_out_allowance_exceeded: [
    'outbound bandwidth',
    'a larger instance, or senders that pace (fq, SO_MAX_PACING_RATE)',
  ],
  pps_allowance_exceeded: [
    'packets per second',
    'a larger instance, or fewer and larger packets (jumbo frames inside the VPC)',
  ],
  conntrack_allowance_exceeded: [
    'tracked connections of the security groups',
    'security group rules that need no tracking, or a larger instance; the conntrack table of this host has nothing to do with it',
  ],
  linklocal_allowance_exceeded: [
    'packets to local services (DNS, metadata, time)',
    'a DNS cache on this host, and fewer requests for metadata',
  ],
};

export default defineRule({
  id: 'cloud-allowance',
  title: 'The cloud provider holds back packets beyond the limit of this instance',
  needs: { link, ethtool },
  reviewed: '2026-11-22',
  explain: {
    see: 'Loss and delay in bursts though all counters of the host are clean. On AWS, a statistic `…_allowance_exceeded` of `ethtool -S` rises.',
    kernel:
      'The limit is enforced outside the machine. The ena driver only reads the counts from the device: packets queued or dropped because the instance exceeded its bandwidth, packets per second, tracked connections or requests to local services. Bursts of milliseconds are enough; graphs of a minute do not show them.',
    confirm: '`ethtool -S INTERFACE | grep allowance` twice.',
    fix: 'A larger instance, traffic spread over more instances, pacing, larger packets, a local DNS cache: which one depends on the limit. No setting of this host raises it.',
    normal: 'Small rises in bursts on small instances: such packets are mostly queued, not lost.',
    references: [
      'Documentation/networking/device_drivers/ethernet/amazon/ena.rst',
      'drivers/net/ethernet/amazon/ena/ena_ethtool.c (Linux 6.12)',
    ],
  },
  judge({ link, ethtool }) {
    return cards(link, ethtool).flatMap((card) => {
      const rises = kindRises(card, 'allowance');
      const worst = most(rises);
      const [limit, advice] = limits[worst?.name ?? ''] ?? [];
      if (worst === undefined || limit === undefined || advice === undefined) return [];
      const inbound = worst.name === 'bw_in_allowance_exceeded';
      const finding = cardFinding({
        card,
        rises,
        direction: inbound ? 'rx' : 'tx',
        confidence: 'certain',
        means: `The provider queued or dropped packets of ${card.name}, because this instance exceeded its limit of ${limit}.`,
      });
      return [
        {
          ...finding,
          // How many of them were only queued, nobody tells.
          severityAtMost: 'warning' as const,
          rulesOut: [
            {
              id: 'nic-rx-ring',
              because: 'these packets were held back outside the machine',
            },
          ],
          fixes: [
            handFix(card, rises, {
              id: `respect-limit-${card.name}`,
              title: `Stay below the limit of ${limit}`,
              risk: 'none',
              cost: 'a larger instance costs money',
              text: `What helps: ${advice}. No setting of this host raises the limit.`,
            }),
          ],
        },
      ];
    });
  },
});
