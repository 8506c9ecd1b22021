/** Names of the core drop reasons of one kernel, by the number that kernel gives them. */
export type ReasonNames = ReadonlyMap<number, string>;

/**
 * Reads the reason table out of the `print fmt` of `skb:kfree_skb`. The numbers differ between
 * releases and vendors, so they are read from the running kernel and never compiled in.
 */
export function parseReasonNames(printFormat: string): ReasonNames {
  const names = new Map<number, string>();
  const table = /__print_symbolic\(\s*REC->reason\s*,([^)]*)\)/.exec(printFormat)?.[1] ?? '';
  for (const [, value, name] of table.matchAll(/\{\s*(0x[0-9a-f]+|\d+)\s*,\s*"([^"]+)"\s*\}/gi)) {
    if (name !== undefined) names.set(Number(value), name);
  }
  return names;
}

/**
 * The high 16 bits are the subsystem (SKB_DROP_REASON_SUBSYS_SHIFT, since 6.4): 0 is the core, whose
 * names tracefs gives. The others (mac80211, openvswitch …) keep theirs where only BTF has access.
 *
 * @param subsystems names by number, as far as known
 */
export function reasonName(
  value: number,
  names: ReasonNames,
  subsystems: ReadonlyMap<number, string> = new Map(),
): string {
  const name = names.get(value);
  if (name !== undefined) return name;
  const subsystem = value >>> 16;
  if (subsystem === 0) return `reason ${value}`;
  return `${subsystems.get(subsystem) ?? `subsystem ${subsystem}`} reason ${value & 0xffff}`;
}
