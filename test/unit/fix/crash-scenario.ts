import { planFixes } from '../../../src/fix/plan.ts';
import { runFixes } from '../../../src/fix/run.ts';
import type { FixEnvironment } from '../../../src/fix/environment.ts';
import { agreeing, cause, fix, measured, report, sysctl } from './fixture.ts';

/** Tabs, a setting with side effects, and a plain one. */
export const settings: Readonly<Record<string, string>> = {
  'net.ipv4.tcp_rmem': '4096\t131072\t6291456\n',
  'net.ipv4.ip_forward': '0\n',
  'net.ipv4.conf.all.accept_redirects': '1\n',
  'net.ipv4.conf.all.forwarding': '0\n',
  'net.ipv4.conf.eth0.forwarding': '1\n',
};

/** One fix of two steps, made permanent if it helps. */
export async function applyScenario(environment: FixEnvironment, helps: boolean): Promise<void> {
  const causes = [
    cause('c', [
      fix('f', [
        sysctl('net.ipv4.tcp_rmem', '4096 131072 6291456', '4096 131072 9000000'),
        sysctl('net.ipv4.ip_forward', '0', '1'),
      ]),
    ]),
  ];
  const after = helps ? measured(0, 10_000) : measured(1000, 10_000);
  const run = await runFixes(
    planFixes(report(causes)),
    environment,
    agreeing(causes, after, { persist: true }),
  );
  if (run.status !== 'ok') throw new Error(run.reason);
}
