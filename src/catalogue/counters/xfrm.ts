import { counterTable, loss, maybe, type Counter } from '../counter.ts';

const CAUSE = 'xfrm-policy';

/** Documentation/networking/xfrm/xfrm_proc.rst */
export const xfrmCounters: readonly Counter[] = counterTable('Xfrm', {
  XfrmInError: loss('IPsec packets refused for a reason not counted elsewhere.', CAUSE),
  XfrmInBufferError: loss('No buffer for an IPsec packet.', CAUSE, 'alloc-failure'),
  XfrmInHdrError: loss('IPsec packets with a bad header.', CAUSE),
  XfrmInNoStates: loss(
    'IPsec packets for which there is no key (SA): wrong SPI, address or protocol.',
    CAUSE,
  ),
  XfrmInStateProtoError: loss('IPsec packets the transformation failed on: a wrong key.', CAUSE),
  XfrmInStateModeError: loss('IPsec packets the mode (tunnel, transport) does not fit.', CAUSE),
  XfrmInStateSeqError: loss(
    'IPsec packets outside the replay window: reordered, repeated or forged.',
    CAUSE,
  ),
  XfrmInStateExpired: loss('IPsec packets whose SA has expired.', CAUSE),
  XfrmInStateMismatch: loss(
    'IPsec packets that do not fit their SA, such as its UDP encapsulation.',
    CAUSE,
  ),
  XfrmInStateInvalid: loss('IPsec packets whose SA is not valid.', CAUSE),
  XfrmInStateDirError: loss('IPsec packets whose SA is for the other direction.', CAUSE),
  XfrmInTmplMismatch: loss('Packets without the protection that their policy demands.', CAUSE),
  XfrmInNoPols: loss('Packets with a good SA but without a policy.', CAUSE),
  XfrmInPolBlock: loss('Packets that a policy blocks.', CAUSE),
  XfrmInPolError: loss('Errors of a policy for packets coming in.', CAUSE),
  XfrmInIptfsError: loss('Errors of IP-TFS on packets coming in.', CAUSE),
  XfrmFwdHdrError: loss('Packets to be forwarded with a bad header.', CAUSE),
  XfrmOutError: loss('Packets that could not be sent, for a reason not counted elsewhere.', CAUSE),
  XfrmOutBundleGenError: loss('The way through the SAs could not be built.', CAUSE),
  XfrmOutBundleCheckError: loss('The way through the SAs is no longer valid.', CAUSE),
  XfrmOutNoStates: loss('A policy demands IPsec and there is no SA yet.', CAUSE),
  XfrmOutStateProtoError: loss('The transformation failed on packets going out.', CAUSE),
  XfrmOutStateModeError: loss('The mode failed on packets going out.', CAUSE),
  XfrmOutStateSeqError: loss('The sequence numbers of an SA are used up.', CAUSE),
  XfrmOutStateExpired: loss('The SA for packets going out has expired.', CAUSE),
  XfrmOutStateInvalid: loss('The SA for packets going out is not valid.', CAUSE),
  XfrmOutStateDirError: loss('The SA for packets going out is for the other direction.', CAUSE),
  XfrmOutPolBlock: loss(
    'Packets of this host that a policy blocks. No drop event shows it.',
    CAUSE,
  ),
  XfrmOutPolDead: loss('Packets whose policy was just deleted.', CAUSE),
  XfrmOutPolError: loss('Errors of a policy for packets going out.', CAUSE),
  XfrmOutNoQueueSpace: loss('The queue of IP-TFS is full.', CAUSE),
  XfrmAcquireError: maybe('The key daemon could not be asked for an SA.', CAUSE),
});
