import type { Sysctl } from '../../checks/sysctl.ts';
import type { Sampled } from '../../src/model/check.ts';
import type { DropCapture } from '../../src/model/drops.ts';
import type { Fix } from '../../src/model/fix.ts';
import type { CauseFinding, Claim, JudgeWindow } from '../../src/model/rule.ts';
import { dropsWhere } from '../protocol-counters.ts';

/** Packets for one port of this host, at which nobody listened. */
export interface RefusedPort {
  readonly port: number;
  readonly packets: number;
  /** Address they were for, and who sent them; null: several, or not known. */
  readonly address: string | null;
  readonly peer: string | null;
}

interface Refusal {
  readonly port: number | null | undefined;
  readonly address: string | null;
  readonly peer: string | null;
  readonly packets: number;
}

/** A client that tries again and again does so at least twice a second; scanners go from port to port. */
const REPEATED_PER_SECOND = 2;
/** In a short window as many as one client tries in five seconds. */
const REPEATED_MIN = 10;
/** The kernel's default; below are the ports of services. */
const DEFAULT_EPHEMERAL: readonly number[] = [32_768, 60_999];

interface Refused {
  readonly protocol: 'TCP' | 'UDP';
  /** Functions that drop for want of a socket. */
  readonly locations: readonly string[];
  /** Most packets first. */
  readonly ports: readonly RefusedPort[];
  /** Sockets that listen. */
  readonly sockets: Iterable<{ readonly local: string }>;
  readonly traffic: NonNullable<CauseFinding['traffic']>;
  readonly sysctl: Sampled<Sysctl> | undefined;
  readonly window: JudgeWindow;
}

/**
 * A hint if one port is asked for again and again, as far as ports are known (BPF). Never an alarm: whether there
 * should be a service only the administrator knows.
 */
export function refusedFindings(refused: Refused): readonly CauseFinding[] {
  const { ports, sysctl, window } = refused;
  const most = ports.find(({ port }) => !isEphemeral(port, sysctl?.last));
  const least = Math.max(REPEATED_MIN, REPEATED_PER_SECOND * window.seconds);
  return most !== undefined && most.packets >= least ? atPort(most, refused) : [];
}

/** Late answers come to such ports, not requests. */
function isEphemeral(port: number, sysctl: Sysctl | undefined): boolean {
  const [from = 0, to = 0] = sysctl?.numbers('net.ipv4.ip_local_port_range') ?? DEFAULT_EPHEMERAL;
  return port >= from && port <= to;
}

/** Most packets first. */
export function byPort(refusals: readonly Refusal[]): readonly RefusedPort[] {
  const ports = new Map<number, RefusedPort>();
  for (const { port, address, peer, packets } of refusals) {
    if (port === null || port === undefined) continue;
    const before = ports.get(port);
    ports.set(port, {
      port,
      packets: (before?.packets ?? 0) + packets,
      address: before === undefined || before.address === address ? address : null,
      peer: before === undefined || before.peer === peer ? peer : null,
    });
  }
  return [...ports.values()].sort((a, b) => b.packets - a.packets);
}

/** By the flows of the capture (BPF): at least so many. */
export function portsByFlows(
  capture: DropCapture | undefined,
  locations: readonly string[],
): readonly RefusedPort[] {
  const { drops } = noSocketDrops(capture, locations);
  return byPort(
    drops
      .flatMap(({ details }) => details?.topFlows ?? [])
      .map(({ ports, destination, source, packets }) => ({
        port: ports?.destination,
        address: destination,
        peer: source,
        packets,
      })),
  );
}

export function noSocketDrops(capture: DropCapture | undefined, locations: readonly string[]) {
  return dropsWhere(
    capture,
    ({ reason, location }) => reason === 'NO_SOCKET' && locations.includes(location),
  );
}

function atPort(most: RefusedPort, refused: Refused): readonly CauseFinding[] {
  const { protocol, sockets } = refused;
  const { port, packets, peer } = most;
  const elsewhere = [...new Set([...sockets].map(({ local }) => local))].filter((local) =>
    local.endsWith(`:${port}`),
  );
  // The service has come back meanwhile.
  if (elsewhere.some((local) => takes(local, most, protocol))) return [];
  return [
    {
      ...common(packets, refused),
      confidence: elsewhere.length > 0 ? 'likely' : 'possible',
      scope: { flow: `${protocol} from ${peer ?? 'several peers'} to port ${port}` },
      because: [
        {
          source: 'skb:kfree_skb',
          text: `${packets} packets for ${protocol} port ${port} found no socket`,
        },
        ...elsewhere.map((local) => ({
          source: protocol === 'TCP' ? 'ss -lntp' : 'ss -lnup',
          text: `a service listens at ${local}, which does not take these packets`,
        })),
      ],
      means:
        elsewhere.length > 0
          ? `Peers try to reach ${protocol} port ${port}, but the service there listens at another address (${elsewhere.join(', ')}). They are refused.`
          : `Peers try to reach ${protocol} port ${port} again and again, and nobody listens there. If there should be a service, it is not running, or it is in another network namespace.`,
      fixes: [elsewhere.length > 0 ? listenThere(most, elsewhere) : startService(protocol, port)],
    },
  ];
}

/** Whether a socket that listens there would have had these packets. */
function takes(local: string, { port, address }: RefusedPort, protocol: 'TCP' | 'UDP'): boolean {
  const host = local.slice(0, -`:${port}`.length);
  if (host === '0.0.0.0' || host === '*' || host === address || host === `[${address}]`)
    return true;
  // ss writes `*` for one that takes IPv4 as well; /proc/net/udp6 has no such difference.
  return host === '[::]' && (protocol === 'UDP' || address === null || address.includes(':'));
}

function common(packets: number, { locations, traffic }: Refused) {
  const claims: readonly Claim[] = [{ reason: 'NO_SOCKET', location: locations, packets }];
  return {
    kind: 'cause',
    packets,
    traffic,
    severityAtMost: 'notice',
    rulesOut: [],
    claims,
  } as const satisfies Partial<CauseFinding>;
}

function listenThere({ port, address }: RefusedPort, elsewhere: readonly string[]): Fix {
  const wanted = address ?? 'the address that its clients use';
  return {
    id: 'listen-there',
    title: `Let the service at port ${port} listen at ${wanted}`,
    risk: 'caution',
    cost: 'The service can then be reached from there: make sure it is meant to be.',
    steps: [
      {
        kind: 'manual',
        text: `Change its listen address from ${elsewhere.join(', ')} to ${wanted} (0.0.0.0 and [::] stand for all), and restart it.`,
      },
    ],
    takesEffect: 'new-sockets',
  };
}

function startService(protocol: string, port: number): Fix {
  return {
    id: 'start-service',
    title: `If there should be a service at ${protocol} port ${port}, start it`,
    risk: 'none',
    cost: 'None.',
    steps: [
      {
        kind: 'manual',
        text: 'Start the service, or correct the port in the configuration of its clients. With containers: is the port published, and does the service run in this network namespace?',
      },
    ],
    takesEffect: 'at-once',
  };
}
