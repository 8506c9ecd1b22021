import type { Fix } from '../../src/model/fix.ts';
import { quoteArgv } from '../../src/model/shell-quote.ts';
import type { Refuser } from './refusals.ts';

/** How the owner's own tools let traffic in; a rule put in beside them is lost when they reload. */
const ownerWays: Readonly<Record<string, string>> = {
  ufw: 'ufw allow from ADDRESS to any port PORT proto udp',
  firewalld: 'firewall-cmd --zone=ZONE --add-port=PORT/udp (and again with --permanent)',
  Docker: 'publish the port (docker run -p), or put your own rules in the chain DOCKER-USER',
  fail2ban: 'fail2ban-client set JAIL unbanip ADDRESS',
  CrowdSec: 'cscli decisions delete --ip ADDRESS',
  'kube-proxy': 'look at the Service: it has no endpoints, or limits its sources',
  Calico: 'a NetworkPolicy that allows the traffic',
  Cilium: 'a CiliumNetworkPolicy that allows the traffic',
  Antrea: 'a NetworkPolicy that allows the traffic',
  'OVN-Kubernetes': 'a NetworkPolicy that allows the traffic',
  'OpenStack Neutron': 'a security group rule',
  libvirt: 'the definition of the libvirt network (virsh net-edit)',
  CSF: 'csf -a ADDRESS',
};

/**
 * Steps to let wanted traffic pass one rule or policy. All of them are for the administrator's hands:
 * a firewall is somebody's decision, and MATCH is theirs to write.
 * @param counted whether the rule's own counter can show that it worked.
 */
export function acceptFix({ entry }: Refuser, counted: boolean): Fix {
  const isPolicy = 'policy' in entry;
  const { owner } = entry;
  const way = owner === null ? undefined : ownerWays[owner];
  return {
    id: 'accept-wanted',
    title: `If this traffic is wanted: accept it ${isPolicy ? 'before the policy applies' : 'before this rule'}`,
    risk: 'disruptive',
    cost: 'opens the firewall for whatever the new rule matches, so make it match the wanted packets only',
    takesEffect: 'at-once',
    steps: [
      { kind: 'manual', text: `See which packets these are: ${watchCommand({ entry })}` },
      ...(owner === null
        ? []
        : [
            {
              kind: 'manual' as const,
              text: `The names look like those of ${owner}. Change it there, or the change is lost at the next reload${way === undefined ? '.' : `: ${way}.`}`,
            },
          ]),
      {
        kind: 'manual',
        text: `Accept them, with MATCH for the wanted packets only (such as ${exampleMatch({ entry })}): ${acceptCommand({ entry })}`,
      },
      ...(isPolicy
        ? []
        : [
            {
              kind: 'manual' as const,
              text: `Or, if the rule as a whole is wrong, remove it: ${deleteCommand(entry)}`,
            },
          ]),
      {
        kind: 'manual',
        text: 'Then put the same change where the firewall is loaded from at boot.',
      },
    ],
    ...(counted && {
      expect: {
        counter: `firewall ${entry.key}`,
        change: 'stops-rising',
        traffic: 'snmp Ip.InReceives',
      },
    }),
  };
}

type Entry = Refuser['entry'];

/** The command that puts a rule just before this one (for a policy: at the end of the chain). */
function acceptCommand({ entry }: Pick<Refuser, 'entry'>): string {
  return `${before(entry)} MATCH ${entry.tool === 'nft' ? 'accept' : '-j ACCEPT'}`;
}

/** Shows packets that are about to meet this rule. */
function watchCommand({ entry }: Pick<Refuser, 'entry'>): string {
  return entry.tool === 'nft'
    ? `${before(entry)} MATCH meta nftrace set 1, then: nft monitor trace. Remove that rule afterwards.`
    : `${before(entry)} -m limit --limit 10/second -j LOG --log-prefix whydrop:, then read the kernel log. Remove that rule afterwards.`;
}

function before(entry: Entry): string {
  const { tool, family, table, chain } = entry;
  const isPolicy = 'policy' in entry;
  if (tool !== 'nft') {
    const place = isPolicy ? ['-A', chain] : ['-I', chain, String(entry.position)];
    return quoteArgv([tool, '-t', table, ...place]);
  }
  return isPolicy
    ? quoteArgv(['nft', 'add', 'rule', family, table, chain])
    : quoteArgv(['nft', 'insert', 'rule', family, table, chain, 'handle', String(entry.handle)]);
}

function deleteCommand(entry: Exclude<Entry, { policy: unknown }>): string {
  const { tool, family, table, chain } = entry;
  return tool === 'nft'
    ? quoteArgv(['nft', 'delete', 'rule', family, table, chain, 'handle', String(entry.handle)])
    : quoteArgv([tool, '-t', table, '-D', chain, String(entry.position)]);
}

function exampleMatch({ entry }: Pick<Refuser, 'entry'>): string {
  if (entry.tool !== 'nft') return '-s ADDRESS -p udp --dport PORT';
  if (entry.family === 'arp') return 'arp saddr ip ADDRESS';
  return `${entry.family === 'ip6' ? 'ip6' : 'ip'} saddr ADDRESS udp dport PORT`;
}
