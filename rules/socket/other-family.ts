import { defineByReason } from '../by-reason.ts';

const REASONS = /^(?:CAN(?:FD|XL)?_RX_INVALID_FRAME|PSP_(?:INPUT|OUTPUT))$/;

export default defineByReason({
  id: 'other-family',
  title: 'Frames of CAN or PSP break their protocol',
  reviewed: '2026-11-22',
  matches: ({ reason }) => reason !== null && REASONS.test(reason),
  confidence: 'certain',
  means:
    'Frames of a CAN bus have a wrong length or form, or packets are not protected by PSP as their connection demands.',
  fixes: [
    {
      id: 'find-the-sender',
      title: 'Find the sender of such frames',
      risk: 'none',
      cost: 'None.',
      steps: [
        {
          kind: 'manual',
          text: 'CAN: candump -e any shows the frames, ip -d -s link the state of the bus; a device or driver sends frames of another kind (CAN FD, CAN XL) than the interface is set to. PSP: compare the keys and policy of both ends.',
        },
      ],
      takesEffect: 'at-once',
    },
  ],
  explain: {
    see: 'Programs on a CAN bus miss frames, or a connection protected by PSP does not get through.',
    kernel:
      '`can_rcv`, `canfd_rcv` and `canxl_rcv` (net/can/af_can.c) drop malformed frames with reasons of their own; `PSP_INPUT` and `PSP_OUTPUT` are the policy of the PSP security protocol. All since 6.17 or so.',
    confirm: '`candump -e any`, `ip -d -s link show CAN-INTERFACE`.',
    fix: 'Correct the device that sends such frames, or the mode of the interface.',
    normal: 'Never.',
    references: ['net/can/af_can.c (Linux 6.18)', 'net/psp (Linux 6.18)'],
  },
});
