import { run } from './command.ts';
import { inside, type Pair } from './network.ts';

/** `nstat` of iproute2: not our parser. */
export async function nstat(netns: string, name: string): Promise<number> {
  const text = await inside(netns, `nstat -asz ${name}`);
  return Number(new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
}

/** Column of `/proc/net/softnet_stat`, summed over CPUs, by awk. */
export async function softnetColumn(column: number): Promise<number> {
  const text = await run('cat /proc/net/softnet_stat');
  return text
    .split('\n')
    .map((line) => Number.parseInt(line.split(' ')[column - 1] ?? '0', 16))
    .reduce((sum, value) => sum + value, 0);
}

export async function conntrackStat(netns: string, name: string): Promise<number> {
  const text = await inside(netns, 'conntrack -S');
  return [...text.matchAll(new RegExp(`\\b${name}=(\\d+)`, 'g'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
}

/** `rx_dropped` as `ip -s link` prints it. */
export async function rxDropped(netns: string, iface: string): Promise<number> {
  const [link] = JSON.parse(await run(`ip -n ${netns} -j -s link show ${iface}`)) as {
    stats64: { rx: { dropped: number } };
  }[];
  return link?.stats64.rx.dropped ?? Number.NaN;
}

/** What the first rule with a counter met, by nft. */
export async function nftCounted(netns: string, chain: string): Promise<number> {
  const text = await inside(netns, `nft list chain ${chain}`);
  return Number(/counter packets (\d+)/.exec(text)?.[1] ?? Number.NaN);
}

/** All that was lost on its way from the sender to the program: what it sent less what UDP delivered. */
export async function notDelivered({ a, b }: Pair): Promise<number> {
  const received = (await nstat(b, 'UdpInDatagrams')) + (await nstat(b, 'UdpNoPorts'));
  return (await nstat(a, 'UdpOutDatagrams')) - received;
}
