export { openLiveHost, type LiveOptions } from './live.ts';
export { recordHost, type RecordingHost, type RecordOptions } from './record.ts';
export { openReplay, type ReplayHost } from './replay.ts';
