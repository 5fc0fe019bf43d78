import { inTurn } from '../base/in-turn.ts';

/** What has to be closed in the end. */
export interface Closable {
  close(): Promise<void>;
}

const IDLE_MS = 60_000;

/** One thing that is costly to open, kept open between uses: another key closes it, and so does a while without any. */
export class KeptOpen<T extends Closable> {
  private readonly oneAtATime = inTurn();
  private kept: { key: string; opened: T } | undefined;
  private idle: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly idleMs = IDLE_MS) {}

  /** Whether anything is open at the moment. */
  get warm(): boolean {
    return this.kept !== undefined;
  }

  /**
   * Does something with what `open` gives, or has given for the same key before. Uses wait for each other.
   * @param survives whether what is open can be used again after the task has failed so
   */
  use<Result>(
    key: string,
    open: () => Promise<T>,
    task: (opened: T) => Promise<Result>,
    survives: (error: unknown) => boolean = () => true,
  ): Promise<Result> {
    return this.oneAtATime(async () => {
      clearTimeout(this.idle);
      try {
        if (this.kept?.key !== key) {
          await this.release();
          this.kept = { key, opened: await open() };
        }
        return await task(this.kept.opened);
      } catch (error) {
        if (!survives(error)) await this.release();
        throw error;
      } finally {
        this.idle = setTimeout(() => void this.close(), this.idleMs);
        this.idle.unref();
      }
    });
  }

  async close(): Promise<void> {
    await this.oneAtATime(() => this.release());
    clearTimeout(this.idle);
  }

  private async release(): Promise<void> {
    const { kept } = this;
    this.kept = undefined;
    await kept?.opened.close();
  }
}
