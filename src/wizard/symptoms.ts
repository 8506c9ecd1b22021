/** What people see before they know the cause, in their words. */
export interface Symptom {
  readonly name: string;
  /** What to do while whydrop watches. */
  readonly advice: string;
  /** Causes that look like this. Empty: any may. */
  readonly causes: readonly string[];
}

export const symptoms: readonly Symptom[] = [
  {
    name: 'Packets get lost, and I do not know where',
    advice: 'Keep the traffic running that suffers.',
    causes: [],
  },
  {
    name: 'A program misses UDP messages (DNS, syslog, metrics, media)',
    advice: 'Keep the sender sending.',
    causes: ['udp-rcvbuf-full', 'softnet-backlog', 'nic-rx-ring', 'nf-rule-drop', 'ip-rpfilter'],
  },
  {
    name: 'New connections time out, established ones live',
    advice: 'Try to connect while I watch.',
    causes: ['nf-conntrack-full', 'nf-rule-drop', 'ip-rpfilter'],
  },
  {
    name: 'tcpdump shows the packets, the program does not get them',
    advice: 'Keep them coming.',
    causes: ['ip-rpfilter', 'nf-rule-drop', 'udp-rcvbuf-full', 'nf-conntrack-full'],
  },
  {
    name: 'A drop counter of an interface rises (ip -s link, monitoring)',
    advice: 'It should rise while I watch.',
    causes: ['nic-rx-ring', 'l2-unhandled-proto', 'softnet-backlog', 'rps-flow-limit'],
  },
  {
    name: 'The host is slow or loses packets under load',
    advice: 'The load should be there while I watch.',
    causes: [
      'nic-rx-ring',
      'softnet-backlog',
      'softnet-squeeze',
      'rps-flow-limit',
      'udp-rcvbuf-full',
    ],
  },
];
