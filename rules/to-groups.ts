import type { DropCount } from '../src/model/drops.ts';

/** Everything that the capture saw of these was for a group or for everybody: chatter nobody waits for. */
export function onlyToGroups(drops: readonly DropCount[]): boolean {
  const flows = drops.flatMap(({ details }) => details?.topFlows ?? []);
  return (
    flows.length > 0 &&
    flows.every(({ destination }) =>
      /^(?:22[4-9]|23\d)\.|^255\.255\.255\.255$|^ff[0-9a-f]{2}:|^[0-9a-f][13579bdf](?::[0-9a-f]{2}){5}$/i.test(
        destination,
      ),
    )
  );
}
