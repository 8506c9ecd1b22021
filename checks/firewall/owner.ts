/**
 * Who made a rule, by the names these programs give their chains, tables and comments. Tested in this
 * order: the more special name first. It is a likelihood, not a proof: anybody may use any name.
 */
const owners: readonly (readonly [
  name: string,
  patterns: { chain?: RegExp; table?: RegExp; comment?: RegExp },
])[] = [
  ['ufw', { chain: /^ufw6?-/ }],
  [
    'firewalld',
    { table: /^firewalld/, chain: /^(IN|FWD[IO]?|PRE|POST)_\w+|^\w+_(ZONES|direct)(_SOURCE)?$/ },
  ],
  ['kube-proxy', { chain: /^KUBE-/, table: /^kube-proxy$/ }],
  ['Docker', { chain: /^DOCKER/, table: /^docker-/ }],
  ['Calico', { chain: /^cali[-:]/, table: /^calico/, comment: /^cali:/ }],
  ['Cilium', { chain: /^(OLD_)?CILIUM_/, comment: /^cilium[-:]/ }],
  ['Antrea', { chain: /^ANTREA-/, table: /^antrea/ }],
  ['OVN-Kubernetes', { chain: /^OVN-KUBE-/, table: /^ovn-kube/ }],
  ['Flannel', { chain: /^FLANNEL-/, table: /^flannel-/ }],
  ['Weave Net', { chain: /^WEAVE/ }],
  ['Istio', { chain: /^ISTIO_/, table: /^istio-/ }],
  ['Podman', { chain: /^NETAVARK/, table: /^netavark$/ }],
  ['CNI plugins', { chain: /^CNI-/, table: /^cni_/ }],
  ['fail2ban', { chain: /^(f2b|fail2ban)-/, table: /^(f2b-table|fail2ban)$/ }],
  ['CrowdSec', { chain: /^CROWDSEC/i, table: /^crowdsec/ }],
  ['sshguard', { chain: /^sshguard$/, table: /^sshguard$/ }],
  ['libvirt', { chain: /^LIBVIRT_/, table: /^libvirt_/ }],
  ['OpenStack Neutron', { chain: /^neutron-/ }],
  ['Incus', { table: /^incus$/, comment: /^generated for Incus/ }],
  ['LXD', { table: /^lxd$/, comment: /^generated for LXD/ }],
  ['Tailscale', { chain: /^ts-(input|forward|postrouting)$/ }],
  ['WireGuard (wg-quick)', { table: /^wg-quick-/, comment: /^wg-quick\(8\) rule/ }],
  ['NetworkManager', { chain: /^nm-sh-/, table: /^nm-shared-/ }],
  ['systemd', { table: /^io\.systemd\./ }],
  ['CSF', { chain: /^(LOCALINPUT|LOCALOUTPUT|DENYIN|DENYOUT|LOGDROPIN|LOGDROPOUT)$/ }],
  ['OpenWrt', { table: /^fw4$/ }],
  ['NixOS', { chain: /^nixos-fw/, table: /^nixos-fw$/ }],
];

const byComment = owners.flatMap(([, { comment }], rank) =>
  comment === undefined ? [] : [{ rank, comment }],
);

/** Ranks among `owners` by table and chain: thousands of rules are in one place. */
const ranksByPlace = new Map<string, number>();

/** Software that probably made a rule; null when no name tells. */
export function ownerOf({
  table,
  chain,
  comment = null,
}: {
  readonly table: string;
  readonly chain: string;
  readonly comment?: string | null;
}): string | null {
  const place = `${table}\n${chain}`;
  let rank = ranksByPlace.get(place);
  if (rank === undefined) {
    const found = owners.findIndex(
      ([, patterns]) =>
        (patterns.chain?.test(chain) ?? false) || (patterns.table?.test(table) ?? false),
    );
    rank = found === -1 ? owners.length : found;
    ranksByPlace.set(place, rank);
  }
  const said = comment === null ? undefined : byComment.find((each) => each.comment.test(comment));
  return owners[Math.min(rank, said?.rank ?? owners.length)]?.[0] ?? null;
}
