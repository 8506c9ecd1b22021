import { defineWatch } from '../src/model/check.ts';
import type { DropCapture } from '../src/model/drops.ts';
import { unread } from '../src/model/reading.ts';

/** Every skb the kernel frees on a drop path in the window, on the whole host. */
export default defineWatch<DropCapture>({
  id: 'drops',
  title: 'Live drop capture',
  sources: ['tracepoint skb:kfree_skb'],
  core: true,
  async start(host, { capture, netns }) {
    if (capture === 'none')
      return unread('not-applicable', 'the capture is switched off (--capture none)');
    return host.startCapture({ backend: capture, ...(netns !== undefined && { netns }) });
  },
});
