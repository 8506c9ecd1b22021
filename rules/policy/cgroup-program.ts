import type { Fix } from '../../src/model/fix.ts';

/** whydrop never changes a policy: it says how to find who made it. */
export function findCgroupProgram(attachType: 'cgroup_inet_egress' | 'cgroup_inet_ingress'): Fix {
  return {
    id: 'find-the-policy',
    title: 'If the traffic is wanted, change the policy where it was made',
    risk: 'disruptive',
    cost: 'It allows what somebody chose to forbid.',
    steps: [
      {
        kind: 'command',
        argv: ['bpftool', 'cgroup', 'tree'],
        why: `lists the programs of each control group; ${attachType} is the kind to look for`,
      },
      {
        kind: 'manual',
        text: 'A program named sd_fw_… is of systemd: systemctl show -p IPAddressAllow,IPAddressDeny UNIT. Otherwise it is of the container network: change its network policy.',
      },
    ],
    takesEffect: 'at-once',
  };
}
