/** The process behind `SessionThread`, where sessions have one of their own. */
import './session-worker.ts';

// These reach the whole group; the parent decides when the work here is over.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);
