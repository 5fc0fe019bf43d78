import { inTurn } from '../base/in-turn.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { JournalReader } from './journal.ts';
import type { SweepConfig } from './sweep-config.ts';
import { sweepFile } from './sweep-folder.ts';
import { SweepState } from './sweep-state.ts';

interface Followed {
  journal: JournalReader;
  state: SweepState;
  afterEachOther: ReturnType<typeof inTurn>;
}

/** Where sweeps stand, read from their logs: whoever keeps it and asks again reads only what has been added since. */
export class SweepReader {
  private readonly followed = new Map<string, Followed>();

  constructor(private readonly workspace: Workspace) {}

  /** Not to be changed: it is what the next look goes on from. */
  stateOf({ sweep, space }: Pick<SweepConfig, 'sweep' | 'space'>): Promise<SweepState> {
    let followed = this.followed.get(sweep);
    if (!followed) {
      const journal = new JournalReader(sweepFile(this.workspace, sweep, 'log'));
      followed = { journal, state: new SweepState(space), afterEachOther: inTurn() };
      this.followed.set(sweep, followed);
    }
    const { journal, afterEachOther } = followed;
    return afterEachOther(async () => {
      const { events, isWhole } = await journal.read();
      if (isWhole) followed.state = new SweepState(space);
      for (const event of events) followed.state.apply(event);
      return followed.state;
    });
  }
}
