import { findLocation, locations, type KernelLocation } from '../catalogue/locations.ts';
import type { Reason } from '../catalogue/reason.ts';
import { findReason } from '../catalogue/reasons.ts';
import { EtherType } from '../model/drops.ts';
import type { Destination, ImportFinding } from '../model/import-report.ts';
import type { DropKind } from './tally.ts';

/** What a kind of drop means, without its numbers. */
export type Meaning = Pick<ImportFinding, 'title' | 'judgement' | 'means' | 'causes' | 'confirm'>;

/** Undefined: whydrop knows neither the reason nor the function. */
export function judgeDrop(drop: DropKind): Meaning | undefined {
  if (drop.hardware) return hardwareTrap(drop.location);
  const place = findLocation(drop.location, drop.protocol ?? undefined);
  const reason = drop.reason === null ? undefined : findReason(drop.reason);
  if (reason !== undefined && reason.name !== 'NOT_SPECIFIED') {
    return (
      closedPort(drop, reason) ?? byReason(reason, place ?? usualPlace(reason), place !== undefined)
    );
  }
  if (place !== undefined) return byPlace(place);
  return drop.protocol === EtherType.None ? internal : undefined;
}

function byPlace(place: KernelLocation): Meaning {
  const { title, judgement, meaning, causes, confirm } = place;
  return { title: capitalised(title), judgement, means: meaning, causes, confirm };
}

/** The function narrows down what the reason may be; how bad that is, both have a say in. */
function byReason(reason: Reason, place: KernelLocation | undefined, isExact: boolean): Meaning {
  const both = reason.causes.filter((cause) => place?.causes.includes(cause));
  const causes = both.length > 0 ? both : reason.causes;
  // NO_SOCKET is told in better words by what looked for the socket.
  const isItsPlace = place !== undefined && both.length > 0 && place.causes[0] === both[0];
  return {
    title: isItsPlace && isExact ? capitalised(place.title) : reason.title,
    judgement: judgementOf(reason, place, causes[0]),
    means: reason.meaning + harmlessWhen(reason),
    causes,
    confirm: place?.confirm ?? [],
  };
}

function judgementOf(
  { harmless }: Reason,
  place: KernelLocation | undefined,
  cause: string | undefined,
): Meaning['judgement'] {
  if (harmless === 'always') return 'harmless';
  const isMild = place?.judgement === 'harmless' || place?.judgement === 'usually-harmless';
  const isItsPlace = place !== undefined && place.causes[0] === cause;
  // What is a loss elsewhere is none in a function that only serves onlookers (raw sockets, captures).
  if (harmless === 'never') return isMild && isItsPlace ? place.judgement : 'loss';
  return isMild || isItsPlace ? place.judgement : 'depends';
}

function harmlessWhen(reason: Reason): string {
  if (reason.harmless === 'never') return '';
  return ` Harmless ${reason.harmless === 'always' ? 'because' : 'when'} ${reason.when}.`;
}

/** Where packets with this reason are freed as a rule: for input that names no function. */
function usualPlace({ causes: [cause] }: Reason): KernelLocation | undefined {
  return locations.find(({ causes }) => cause !== undefined && causes[0] === cause);
}

const RECEIVE = /^(?:tcp_v[46]_rcv|__udp[46]_lib_rcv)$/;

/**
 * Where the packets themselves are in the input, NO_SOCKET can be said in plain words; except at
 * cookie_v4_check, where the port is open and its accept queue full.
 */
function closedPort(
  { location, destinations }: DropKind,
  { name, causes }: Reason,
): Meaning | undefined {
  const targets = [...destinations.values()].sort((a, b) => b.packets - a.packets);
  const [first] = targets;
  if (name !== 'NO_SOCKET' || !RECEIVE.test(location) || first?.port === undefined)
    return undefined;
  // A segment of a connection that is over finds no socket either.
  if (!targets.every((target) => target.opens === true || isUdp(target))) return undefined;
  const udp = isUdp(first);
  const others = targets.length > 1 ? ` and ${targets.length - 1} more` : '';
  return {
    title: `Nothing listens on ${describeDestination(first)}${others}`,
    judgement: 'usually-harmless',
    means: `The port is closed: no program has it open at that address, in that network namespace. The sender is told (${udp ? 'ICMP port unreachable' : 'a reset'}) and fails at once. If the port should be open: start the service, or let it listen on that address.`,
    causes: causes.filter((cause) => cause === (udp ? 'no-socket-udp' : 'no-socket-tcp')),
    confirm: [
      {
        command: `ss -ln${udp ? 'u' : 't'}p 'sport = :${first.port}'`,
        shows: 'who listens on the port, and on which address; nobody: it is closed',
      },
    ],
  };
}

function isUdp({ protocol }: Destination): boolean {
  return /^udp/i.test(protocol);
}

/** `TCP [::1]:8080` */
function describeDestination({ protocol, address, port }: Destination): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return port === undefined ? `${protocol} ${address}` : `${protocol} ${host}:${port}`;
}

function hardwareTrap(name: string): Meaning {
  return {
    title: `Dropped in hardware by the trap ${name}`,
    judgement: 'depends',
    means: 'The switch or network card dropped them and told the kernel (devlink).',
    causes: ['nic-hw-filter'],
    confirm: [
      { command: 'devlink -s trap show', shows: 'each trap, what it does and what it counted' },
    ],
  };
}

const internal: Meaning = {
  title: 'Messages inside the machine',
  judgement: 'usually-harmless',
  means:
    'They have no network protocol: messages of local sockets, netlink or vsock, not packets of a network.',
  causes: ['internal'],
  confirm: [],
};

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
