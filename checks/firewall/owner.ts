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

/** Software that probably made a rule; null when no name tells. */
export function ownerOf(place: {
  readonly table: string;
  readonly chain: string;
  readonly comment?: string | null;
}): string | null {
  const found = owners.find(
    ([, { chain, table, comment }]) =>
      (chain?.test(place.chain) ?? false) ||
      (table?.test(place.table) ?? false) ||
      (comment?.test(place.comment ?? '') ?? false),
  );
  return found?.[0] ?? null;
}
