import { counterTable, loss, maybe, noLoss, type Counter } from '../counter.ts';

/** Meanings: net/ipv4/proc.c, include/uapi/linux/snmp.h, Documentation/networking/snmp_counter.rst. */
export const tcpCounters: readonly Counter[] = [
  ...counterTable('Tcp', {
    AttemptFails: maybe(
      'Connections that ended before they were open: refused, or given up.',
      'no-socket-tcp',
      'remote-loss',
    ),
    EstabResets: maybe('Open connections that ended with a reset.', 'tcp-reset-noise'),
    RetransSegs: maybe(
      'Segments sent again. The loss may be anywhere on the way; against OutSegs, more than about 1 % hurts.',
      'remote-loss',
    ),
    InErrs: loss(
      'Segments with a bad header or checksum, or with a SYN inside an open connection.',
      'tcp-csum-error',
      'offload-checksum-bug',
    ),
    InCsumErrors: loss('Segments with a wrong checksum.', 'tcp-csum-error', 'offload-checksum-bug'),
    OutRsts: maybe(
      'Resets sent: connections to closed ports are refused, or programs close with data unread.',
      'no-socket-tcp',
      'tcp-closed-with-data',
    ),
  }),
  ...counterTable('TcpExt', {
    // Opening connections
    ListenOverflows: loss(
      'A connection was refused because the accept queue of the listening socket is full: the program does not accept fast enough. Shows no drop event when it happens to the SYN.',
      'tcp-listen-overflow',
    ),
    ListenDrops: loss(
      'Packets for listening sockets that were dropped for any reason; includes ListenOverflows and TCPReqQFullDrop.',
      'tcp-listen-overflow',
      'tcp-syn-queue',
    ),
    TCPReqQFullDrop: loss(
      'A SYN was dropped because the queue of half-open connections is full and SYN cookies are off.',
      'tcp-syn-queue',
    ),
    TCPReqQFullDoCookies: noLoss(
      'The queue of half-open connections is full, and SYN cookies were sent instead. The connection can still be made.',
      'tcp-syn-queue',
    ),
    SyncookiesSent: noLoss('SYN cookies sent: the queue was full.', 'tcp-syn-queue'),
    SyncookiesRecv: noLoss('Connections completed with a valid SYN cookie.', 'tcp-syn-queue'),
    SyncookiesFailed: maybe(
      'Packets that look like the answer to a SYN cookie and are not: late, forged, or stray.',
      'tcp-syn-queue',
    ),
    EmbryonicRsts: maybe('Half-open connections ended by a reset.', 'tcp-syn-queue'),
    TCPDeferAcceptDrop: noLoss(
      'The bare last packet of a handshake was set aside, because the program wants the connection only with data (TCP_DEFER_ACCEPT).',
    ),
    TCPFastOpenActiveFail: maybe('Fast Open towards others that was refused or timed out.'),
    TCPFastOpenPassiveFail: maybe('Fast Open requests of others that were not valid.'),
    TCPFastOpenListenOverflow: maybe(
      'Fast Open requests beyond the limit of the listening socket; the connection falls back to a normal handshake.',
      'tcp-listen-overflow',
    ),
    TCPFastOpenBlackhole: maybe(
      'Fast Open was switched off for a while, because something on the way swallows it.',
    ),
    TCPMigrateReqFailure: loss(
      'A connection could not be moved to another listening socket of its group when its own was closed.',
      'tcp-listen-overflow',
    ),
    TCPTimeWaitOverflow: noLoss(
      'More connections in TIME_WAIT than tcp_max_tw_buckets: the newest are forgotten at once.',
      'tcp-orphans-tw',
    ),

    // Memory and buffers
    PruneCalled: maybe(
      'A receive buffer was full and its queue was compacted.',
      'tcp-rcvbuf-prune',
      'tcp-mem-pressure',
    ),
    RcvPruned: loss(
      'Segments dropped because the receive buffer stayed full.',
      'tcp-rcvbuf-prune',
      'tcp-mem-pressure',
    ),
    OfoPruned: loss(
      'The out-of-order queue was emptied to make room; its data must be sent again.',
      'tcp-rcvbuf-prune',
    ),
    TCPOFODrop: loss(
      'Out-of-order segments for which the receive buffer had no room.',
      'tcp-rcvbuf-prune',
    ),
    TCPRcvQDrop: loss(
      'Segments for which there was no memory in the receive queue.',
      'tcp-rcvbuf-prune',
      'tcp-mem-pressure',
    ),
    TCPRcvCollapsed: noLoss('Segments merged to save memory.', 'tcp-rcvbuf-prune'),
    TCPBacklogDrop: loss(
      'Segments dropped because the program held the socket and its backlog was full.',
      'tcp-backlog-drop',
    ),
    PFMemallocDrop: loss(
      'Packets that came in emergency memory, for a socket that may not use it.',
      'alloc-failure',
    ),
    TCPMemoryPressures: maybe(
      'Times TCP went into memory pressure (tcp_mem): buffers shrink.',
      'tcp-mem-pressure',
    ),
    TCPMemoryPressuresChrono: maybe(
      'Milliseconds TCP spent in memory pressure.',
      'tcp-mem-pressure',
    ),
    TCPAbortOnMemory: loss(
      'Connections ended for lack of memory: tcp_mem, or too many orphaned sockets.',
      'tcp-mem-pressure',
      'tcp-orphans-tw',
    ),
    TCPWqueueTooBig: maybe(
      'A send queue was so large that a segment was not split for a retransmission.',
    ),

    // Window
    TCPZeroWindowDrop: loss(
      'Data that came although our window is closed: the program does not read.',
      'tcp-zero-window',
    ),
    TCPToZeroWindowAdv: maybe('Times we closed our window.', 'tcp-zero-window'),
    TCPFromZeroWindowAdv: maybe('Times we opened it again.', 'tcp-zero-window'),
    TCPWantZeroWindowAdv: maybe('Times the window would have had to be closed.', 'tcp-zero-window'),
    TCPWinProbe: maybe('Probes of the closed window of the other end.', 'tcp-zero-window'),
    BeyondWindow: maybe(
      'Segments that end beyond our receive window.',
      'tcp-sequence-noise',
      'tcp-zero-window',
    ),

    // Retransmission: loss on the way, here or elsewhere
    TCPTimeouts: maybe('Retransmission timers that ran out.', 'remote-loss', 'pmtu-blackhole'),
    TCPSynRetrans: maybe(
      'SYN and SYN-ACK packets sent again: nobody answers, or a firewall swallows them.',
      'remote-loss',
      'nf-rule-drop',
    ),
    TCPLostRetransmit: maybe('Retransmissions that were lost as well.', 'remote-loss'),
    TCPFastRetrans: maybe('Segments sent again after duplicate acknowledgements.', 'remote-loss'),
    TCPSlowStartRetrans: maybe('Segments sent again after a timeout.', 'remote-loss'),
    TCPRenoRecovery: maybe('Times loss was repaired, on connections without SACK.', 'remote-loss'),
    TCPSackRecovery: maybe('Times loss was repaired with the help of SACK.', 'remote-loss'),
    TCPRenoFailures: maybe('Timeouts while loss was being repaired (no SACK).', 'remote-loss'),
    TCPSackFailures: maybe('Timeouts while loss was being repaired (SACK).', 'remote-loss'),
    TCPLossFailures: maybe(
      'Timeouts while loss was being repaired after a timeout.',
      'remote-loss',
    ),
    TCPRenoRecoveryFail: maybe('Repairs of loss that ended in a timeout (no SACK).', 'remote-loss'),
    TCPSackRecoveryFail: maybe('Repairs of loss that ended in a timeout (SACK).', 'remote-loss'),
    TCPLossProbes: maybe('Probes for a lost last segment.', 'remote-loss'),
    TCPLossProbeRecovery: maybe('Losses that such a probe found.', 'remote-loss'),
    TCPLossUndo: noLoss('Timeouts that turned out to be needless.', 'remote-loss'),
    TCPSpuriousRTOs: noLoss(
      'Timeouts that were needless: the answer was only late.',
      'remote-loss',
    ),
    TCPSpuriousRtxHostQueues: noLoss(
      'A segment was to be sent again while it still waited in a queue of this host: the queue is slow, nothing is lost.',
      'qdisc-overlimit',
    ),
    TCPRetransFail: maybe(
      'A segment could not be sent again: no route, a full queue, a firewall rule.',
      'no-route-out',
      'qdisc-overlimit',
      'nf-rule-drop',
    ),
    TCPDSACKRecv: noLoss(
      'The other end says it had the data already: reordering or needless retransmission, no loss.',
      'remote-loss',
    ),
    TCPSACKReneging: maybe('The other end threw away data that it had confirmed with SACK.'),
    TCPMTUPFail: maybe('A probe for a larger MTU got lost.', 'pmtu-blackhole'),
    TcpTimeoutRehash: maybe(
      'After a timeout the connection was given another path (flow label).',
      'remote-loss',
    ),
    TcpDuplicateDataRehash: maybe(
      'After repeated data the connection was given another path.',
      'remote-loss',
    ),

    // Duplicates, old and strange segments
    DelayedACKLost: noLoss(
      'Data that was received before: our acknowledgement got lost or was late.',
      'tcp-sequence-noise',
      'remote-loss',
    ),
    TCPOFOQueue: noLoss('Segments that came out of order and were kept.', 'remote-loss'),
    TCPOFOMerge: noLoss('Out-of-order data that was there already.', 'tcp-sequence-noise'),
    TCPDSACKOldSent: noLoss('Told the other end that it repeats old data.', 'tcp-sequence-noise'),
    TCPDSACKOfoSent: noLoss(
      'Told the other end that it repeats out-of-order data.',
      'tcp-sequence-noise',
    ),
    TCPSACKDiscard: maybe('SACK blocks that make no sense and were ignored.', 'tcp-sequence-noise'),
    TCPDSACKIgnoredOld: noLoss('Reports of repeated data that are too old to use.'),
    TCPDSACKIgnoredNoUndo: noLoss('Reports of repeated data that could not be used.'),
    TCPDSACKIgnoredDubious: noLoss('Reports of repeated data that cannot be right.'),
    TCPSackShiftFallback: noLoss('SACKed data that could not be merged.'),
    PAWSEstab: maybe('Segments of open connections refused for an old timestamp.', 'tcp-paws'),
    PAWSActive: maybe('Answers to a SYN refused for a wrong timestamp.', 'tcp-paws'),
    PAWSOldAck: noLoss('Acknowledgements refused for an old timestamp: reordering.', 'tcp-paws'),
    PAWSTimewait: maybe(
      'Segments for connections in TIME_WAIT refused for an old timestamp.',
      'tcp-paws',
    ),
    TSEcrRejected: maybe('Segments that echo a timestamp never sent.', 'tcp-paws'),
    TCPChallengeACK: maybe(
      'Answers to a SYN, RST or ACK that does not fit (RFC 5961): a restarted peer, or an attack.',
      'tcp-reset-noise',
      'tcp-sequence-noise',
    ),
    TCPSYNChallenge: maybe('The same for a SYN on an open connection.', 'tcp-sequence-noise'),
    TCPACKSkippedSynRecv: noLoss('Duplicate acknowledgements not sent, to keep their rate down.'),
    TCPACKSkippedPAWS: noLoss('The same after an old timestamp.', 'tcp-paws'),
    TCPACKSkippedSeq: noLoss('The same after a segment outside the window.', 'tcp-sequence-noise'),
    TCPACKSkippedFinWait2: noLoss('The same in FIN_WAIT_2.'),
    TCPACKSkippedTimeWait: noLoss('The same in TIME_WAIT.'),
    TCPACKSkippedChallenge: noLoss('Challenge ACKs not sent, to keep their rate down.'),

    // Ends of connections
    TCPAbortOnData: maybe(
      'Connections reset because data came after the program had closed.',
      'tcp-closed-with-data',
    ),
    TCPAbortOnClose: maybe(
      'Connections reset because the program closed with data unread.',
      'tcp-closed-with-data',
      'benign-socket-teardown',
    ),
    TCPAbortOnTimeout: loss(
      'Connections given up because the other end no longer answered.',
      'remote-loss',
    ),
    TCPAbortOnLinger: noLoss('Connections reset because the program asked for it (SO_LINGER).'),
    TCPAbortFailed: maybe('A reset could not be sent.'),

    // Policy
    IPReversePathFilter: loss(
      'IPv4 packets refused by the reverse-path filter (rp_filter): the route back to their source leads elsewhere.',
      'ip-rpfilter',
    ),
    ArpFilter: noLoss(
      'ARP requests not answered because arp_filter says another interface should.',
      'arp-conflict-or-flux',
    ),
    TCPMD5NotFound: loss('Segments without the MD5 signature they need.', 'tcp-auth-mismatch'),
    TCPMD5Unexpected: loss(
      'Segments with an MD5 signature that no key here fits.',
      'tcp-auth-mismatch',
    ),
    TCPMD5Failure: loss('Segments with a wrong MD5 signature.', 'tcp-auth-mismatch'),
    TCPAORequired: loss('Segments without the TCP-AO signature they need.', 'tcp-auth-mismatch'),
    TCPAOBad: loss('Segments with a wrong TCP-AO signature.', 'tcp-auth-mismatch'),
    TCPAOKeyNotFound: loss('Segments with a TCP-AO key unknown here.', 'tcp-auth-mismatch'),
    TCPAODroppedIcmps: noLoss('ICMP errors ignored on connections with TCP-AO.'),
    TCPMinTTLDrop: loss(
      'Packets with a TTL below the minimum the program set (GTSM).',
      'tcp-auth-mismatch',
    ),
    OutOfWindowIcmps: noLoss('ICMP errors for TCP with a sequence number that cannot be right.'),
    LockDroppedIcmps: maybe('ICMP errors ignored because the program held the socket.'),
  }),
];
