import type { Harmless } from '../harmless.ts';
import type { Reason } from '../reason.ts';

/**
 * Reasons of Open vSwitch (net/openvswitch/drop.h) and Wi-Fi (net/mac80211/drop.h). tracefs has no names
 * for them, the BPF capture has.
 */

type Texts = Pick<Reason, 'title' | 'meaning'> & Harmless;

function family(cause: string, since: string, texts: Readonly<Record<string, Texts>>): Reason[] {
  return Object.entries(texts).map(([name, text]) => ({ name, ...text, causes: [cause], since }));
}

const openvswitch = family('ovs-drop', '6.12', {
  OVS_DROP_LAST_ACTION: {
    title: 'Open vSwitch has no rule that sends it anywhere',
    meaning: 'The last action of the flow was done and none of them was an output.',
    harmless: 'often',
    when: 'the flow table means to block this traffic',
  },
  OVS_DROP_EXPLICIT: {
    title: 'A flow of Open vSwitch says drop',
    meaning: 'The flow has a drop action: policy.',
    harmless: 'often',
    when: 'the flow table means to block this traffic',
  },
  OVS_DROP_EXPLICIT_WITH_ERROR: {
    title: 'Open vSwitch dropped it after an error',
    meaning: 'The flow has a drop action that was put there because of an error.',
    harmless: 'never',
  },
  OVS_DROP_ACTION_ERROR: {
    title: 'An action of Open vSwitch failed',
    meaning: 'What the flow wanted done with the packet could not be done.',
    harmless: 'never',
  },
  OVS_DROP_METER: {
    title: 'A meter of Open vSwitch is over its rate',
    meaning: 'A rate limit in the flow table dropped it.',
    harmless: 'often',
    when: 'the rate limit is there to hold this traffic down',
  },
  OVS_DROP_RECURSION_LIMIT: {
    title: 'Open vSwitch flows lead round and round',
    meaning: 'The packet went through the flow table more often than allowed.',
    harmless: 'never',
  },
  OVS_DROP_DEFERRED_LIMIT: {
    title: 'Open vSwitch has too many actions waiting',
    meaning: 'The queue of deferred actions was full.',
    harmless: 'never',
  },
  OVS_DROP_FRAG_L2_TOO_LONG: {
    title: 'Open vSwitch cannot fragment it: link header too long',
    meaning: 'The packet is larger than the MTU of the port and its link-layer header too long.',
    harmless: 'never',
  },
  OVS_DROP_FRAG_INVALID_PROTO: {
    title: 'Open vSwitch cannot fragment it: neither IPv4 nor IPv6',
    meaning: 'The packet is larger than the MTU of the port.',
    harmless: 'never',
  },
  OVS_DROP_CONNTRACK: {
    title: 'Connection tracking of Open vSwitch refused it',
    meaning: 'The ct action failed, for example because the table is full.',
    harmless: 'never',
  },
  OVS_DROP_IP_TTL: {
    title: 'The packet ran out of hops in Open vSwitch',
    meaning: 'The flow decrements the TTL and it reached zero.',
    harmless: 'often',
    when: 'somebody runs traceroute',
  },
});

const key: Texts = {
  title: 'A Wi-Fi frame does not fit the keys',
  meaning: 'It could not be decrypted, its integrity check failed, or its key is unknown here.',
  harmless: 'never',
};
const repeated: Texts = {
  title: 'A Wi-Fi frame was received before',
  meaning: 'Every frame that is not acknowledged is sent again; the second copy is dropped.',
  harmless: 'always',
  when: 'the first copy was taken',
};
const replayed: Texts = {
  title: 'A Wi-Fi frame has an old packet number',
  meaning: 'The protection against replays refused it: reordered, repeated or forged.',
  harmless: 'often',
  when: 'there are only a few of them',
};
const malformed: Texts = {
  title: 'A Wi-Fi frame is malformed',
  meaning: 'It is too short, or its parts contradict each other.',
  harmless: 'often',
  when: 'reception is weak and there are only a few of them',
};
const unprotected: Texts = {
  title: 'A Wi-Fi frame is not protected as it must be',
  meaning: 'A management or data frame came without the encryption that this connection demands.',
  harmless: 'often',
  when: 'the connection is just being set up or taken down',
};
const unexpected: Texts = {
  title: 'A Wi-Fi frame that this interface does not take',
  meaning: 'Its addresses or type do not fit the role of the interface.',
  harmless: 'often',
  when: 'other stations use the same channel',
};
const noMemory: Texts = {
  title: 'The kernel had no memory for a Wi-Fi frame',
  meaning: 'An allocation failed while the frame was handled.',
  harmless: 'never',
};

const wifiKinds: readonly (readonly [Texts, readonly string[]])[] = [
  [
    key,
    [
      'U_MIC_FAIL',
      'U_MMIC_FAIL',
      'U_BAD_MMIE',
      'U_DECRYPT_FAIL',
      'U_NO_KEY_ID',
      'U_BAD_CIPHER',
      'U_BAD_KEY_COLOR',
      'U_WEP_DEC_FAIL',
      'U_TKIP_FAIL',
      'U_NO_IV',
      'U_NO_ICV',
    ],
  ],
  [repeated, ['U_DUP']],
  [replayed, ['U_REPLAY', 'U_NONSEQ_PN']],
  [
    malformed,
    [
      'U_BAD_4ADDR',
      'U_BAD_AMSDU',
      'U_BAD_AMSDU_CIPHER',
      'U_INVALID_8023',
      'U_RUNT_ACTION',
      'U_SHORT_MMIC',
      'U_SHORT_TKIP',
      'U_SHORT_CCMP',
      'U_SHORT_CCMP_MIC',
      'U_SHORT_GCMP',
      'U_SHORT_GCMP_MIC',
      'U_SHORT_CMAC',
      'U_SHORT_CMAC256',
      'U_SHORT_GMAC',
    ],
  ],
  [
    unprotected,
    [
      'U_UNPROT_ACTION',
      'U_UNPROT_DUAL',
      'U_UNPROT_UCAST_MGMT',
      'U_UNPROT_MCAST_MGMT',
      'U_UNPROT_BEACON',
      'U_UNPROT_UNICAST_PUB_ACTION',
      'U_UNPROT_ROBUST_ACTION',
      'U_EXPECT_DEFRAG_PROT',
    ],
  ],
  [
    unexpected,
    [
      'U_SPURIOUS',
      'U_ACTION_UNKNOWN_SRC',
      'U_REJECTED_ACTION_RESPONSE',
      'U_AP_RX_GROUPCAST',
      'U_UNEXPECTED_VLAN_4ADDR',
      'U_UNEXPECTED_STA_4ADDR',
      'U_UNEXPECTED_VLAN_MCAST',
      'U_NOT_PORT_CONTROL',
      'M_UNEXPECTED_4ADDR_FRAME',
      'M_BAD_BCN_KEYIDX',
      'M_BAD_MGMT_KEYIDX',
    ],
  ],
  [noMemory, ['U_OOM']],
];

const wifi = wifiKinds.flatMap(([text, names]) =>
  family('wifi-drop', '6.12', Object.fromEntries(names.map((name) => [`RX_DROP_${name}`, text]))),
);

export const subsystemReasons: readonly Reason[] = [...openvswitch, ...wifi];
