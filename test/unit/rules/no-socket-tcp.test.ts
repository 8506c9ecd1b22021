import { expect, test } from 'vitest';
import rule from '../../../rules/tcp/no-socket-tcp.ts';
import type { Companions, PeerEvents } from '../../../src/model/companions.ts';
import type { DropCapture } from '../../../src/model/drops.ts';
import { capture, window } from './evidence.ts';

function textWith(drops: DropCapture | undefined): string {
  const [finding] = rule.judge(
    { drops, listeners: undefined, snmp: undefined, sysctl: undefined },
    window,
  );
  return finding?.kind === 'benign' ? finding.text : '';
}

function resets(rows: readonly Partial<PeerEvents>[] | null): DropCapture {
  const full = rows?.map((row): PeerEvents => ({
    netns: 1,
    local: '10.0.0.1',
    localPort: 23,
    remote: '10.0.0.2',
    remotePort: null,
    packets: 7,
    handshakePackets: 0,
    ...row,
  }));
  const companions: Companions = {
    fullSockets: null,
    retransmits: null,
    synAckRetransmits: null,
    resetsSent: full === undefined ? null : { rows: full, rest: [] },
    resetsReceived: null,
    badChecksums: null,
    missed: 0,
  };
  return { ...capture([]), companions };
}

test('names the port that most resets came from, where the kernel told', () => {
  expect(textWith(resets([{}, { packets: 1 }]))).toMatch(
    /Most resets: 7 from port 23, to 10\.0\.0\.2\.$/,
  );
  expect(textWith(resets([{ remote: null }]))).toMatch(/to several peers\.$/);
});

test.each([
  ['no capture', undefined],
  ['tracefs', capture([])],
  ['not watched', resets(null)],
  ['no reset', resets([])],
])('says no more than it knows: %s', (_, drops) => {
  expect(textWith(drops)).toMatch(/told by a reset\.$/);
});
