import { expect, test } from 'vitest';

import { nameNamespaces, ownerOfCgroup } from '../../../src/host/namespace-names.ts';
import { referenceTo, type FoundNamespace } from '../../../src/host/namespaces.ts';

const ID = '3f2a9c0d1e4b'.padEnd(64, '0');
const POD = '1b2c3d4e-0001-0002-0003-0123456789ab';

test.each([
  [`0::/system.slice/docker-${ID}.scope`, 'docker 3f2a9c0d1e4b'],
  [`12:pids:/docker/${ID}\n1:name=systemd:/docker/${ID}\n0::/docker/${ID}`, 'docker 3f2a9c0d1e4b'],
  [`0::/machine.slice/libpod-${ID}.scope/container`, 'podman 3f2a9c0d1e4b'],
  [`0::/system.slice/cri-containerd-${ID}.scope`, 'cri-containerd 3f2a9c0d1e4b'],
  [
    `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${POD.replaceAll('-', '_')}.slice/cri-containerd-${ID}.scope`,
    `pod ${POD}`,
  ],
  [
    `0::/kubepods.slice/kubepods-pod${POD.replaceAll('-', '_')}.slice/crio-${ID}.scope`,
    `pod ${POD}`,
  ],
  [`11:memory:/kubepods/besteffort/pod${POD}/${ID}`, `pod ${POD}`],
  ['0::/lxc.payload.web/init.scope', 'lxc web'],
  ['5:cpu:/lxc/web', 'lxc web'],
  [String.raw`0::/machine.slice/machine-my\x2dbox.scope`, 'machine my-box'],
  ['0::/machine.slice/systemd-nspawn@box.service/payload', 'machine box'],
  ['0::/system.slice/system-rtkit.slice/rtkit@1.service', 'rtkit@1.service'],
  ['0::/system.slice/polkit.service', 'polkit.service'],
  // A browser's sandbox, in the systemd of a user.
  ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.scope', null],
  ['0::/', null],
  ['0::/system.slice/docker-short.scope', null],
  ['', null],
])('%j belongs to %s', (cgroup, owner) => {
  expect(ownerOfCgroup(cgroup)).toBe(owner);
});

function found(namespace: Partial<FoundNamespace>): FoundNamespace {
  return { inode: 4026532001, path: null, pid: null, ...namespace };
}

test.each([
  [{ path: '/run/netns/web', pid: 7 }, 'web', 'web'],
  // Neither a process id nor every namespace.
  [{ path: '/run/netns/77' }, '77', '/run/netns/77'],
  [{ path: '/run/netns/all' }, 'all', '/run/netns/all'],
  [{ path: '/run/docker/netns/0a1b', pid: 7 }, 'docker 3f2a9c0d1e4b', '/run/docker/netns/0a1b'],
  [{ path: '/run/docker/netns/0a1b' }, '/run/docker/netns/0a1b', '/run/docker/netns/0a1b'],
  [{ path: '/run/netns/cni-12ab', pid: 7 }, 'docker 3f2a9c0d1e4b', 'cni-12ab'],
  [{ path: '/run/netns/cni-12ab' }, 'cni-12ab', 'cni-12ab'],
  [{ pid: 7 }, 'docker 3f2a9c0d1e4b', '7'],
  [{ pid: 8 }, 'pid 8 (sh)', '8'],
  [{ pid: 9 }, 'pid 9', '9'],
  [{}, 'inode 4026532001', null],
])('%j is called %s, and --netns takes %s', (namespace, name, reference) => {
  const describe = (pid: number) => ({
    cgroup: pid === 7 ? `0::/system.slice/docker-${ID}.scope` : '0::/',
    command: pid === 8 ? 'sh' : '',
  });
  const names = nameNamespaces([found(namespace)], describe);
  expect(names.get(4026532001)).toBe(name);
  expect(referenceTo(found(namespace))).toBe(reference);
});

test('no two have the same name', () => {
  const both = [found({ inode: 1, pid: 5 }), found({ inode: 2, pid: 6 })];
  const names = nameNamespaces(both, () => ({ cgroup: '0::/system.slice/a.service', command: '' }));
  expect([...names.values()]).toEqual(['a.service', 'a.service (inode 2)']);
});
