import { notebook } from '../../../testing/notebook.ts';
import { eventSubject } from '../../../wire/event-record.ts';
import { eventPlaneContract } from '../event-plane.contract.ts';
import { newPublisherId } from '../publisher-id.ts';
import { MemEvents, memEvents } from './index.ts';

eventPlaneContract({
  open: async (options = {}) => {
    const hub = new MemEvents();
    const { lines, log } = notebook();
    const stack = new AsyncDisposableStack();
    return {
      speaking: stack.use(memEvents(hub, { log, ...options })),
      hearing: stack.use(memEvents(hub, { log, ...options })),
      lines,
      async bare(scope, topic) {
        const subject = hub.subject(eventSubject(scope, topic));
        const id = newPublisherId();
        subject.publishers.add(id);
        return {
          id,
          send: (sequence, payload = '') => {
            const envelope = { publisher: id, sequence, publishedAt: Date.now(), topic, payload: Buffer.from(payload) };
            for (const feed of subject.feeds) feed.message(envelope);
          },
          garble: () => {},
          [Symbol.asyncDispose]: async () => void subject.publishers.delete(id),
        };
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
  skip: [{ case: 'what is no message is counted, told in one line a publisher, and passed over', reason: 'nothing is encoded here' }],
});
