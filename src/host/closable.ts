import type { View } from '../model/host.ts';

/** A view that holds something: a helper process, an open namespace. */
export interface ClosableView extends View {
  /** Idempotent. */
  close(): Promise<void>;
}
