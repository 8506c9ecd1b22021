import type { DropCapture, DropCount, DropDetails } from '../../src/model/drops.ts';
import type { Host } from '../../src/model/host.ts';

const directory = '/sys/class/net';

/**
 * Names the interfaces of this namespace that the capture knows by number only: the device is gone from a segment
 * once a TCP socket has taken it (tcp_v4_rcv, Linux 6.18), its number is not. Costs nothing where there are none.
 */
export async function nameInterfaces(host: Host, capture: DropCapture): Promise<DropCapture> {
  const nameless = ({ details }: DropCount): DropDetails | undefined =>
    details?.interface === null &&
    details.ifindex !== null &&
    details.netns === host.facts.netnsInode
      ? details
      : undefined;
  if (!capture.drops.some((drop) => nameless(drop) !== undefined)) return capture;

  const listing = await host.list(directory);
  const names = listing.status === 'ok' ? listing.value : [];
  const numbers = await host.readFiles(names.map((name) => `${directory}/${name}/ifindex`));
  const byNumber = new Map(
    names.flatMap((name, index) => {
      const number = numbers[index];
      return number?.status === 'ok' ? [[Number(number.value), name] as const] : [];
    }),
  );
  return {
    ...capture,
    drops: capture.drops.map((drop) => {
      const details = nameless(drop);
      const name = byNumber.get(details?.ifindex ?? 0);
      return details === undefined || name === undefined
        ? drop
        : { ...drop, details: { ...details, interface: name } };
    }),
  };
}
