import { isDeepStrictEqual } from 'node:util';
import type { Controls } from '../../sweep/controls.ts';
import type { SweepConfig } from '../../sweep/sweep-config.ts';
import { readControls, type AskedControls } from '../../sweep/sweep-folder.ts';
import type { Workspace } from '../../workspace/workspace.ts';

const LOOK_EVERY_MS = 300;

/** What is asked of a sweep while it runs, by whoever may write its controls: this process or another. */
export class ControlsFile {
  private timer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly workspace: Workspace,
    private readonly config: SweepConfig,
    public controls: Controls,
  ) {}

  static async open(workspace: Workspace, config: SweepConfig): Promise<ControlsFile> {
    return new ControlsFile(workspace, config, await askedControls(workspace, config));
  }

  listen(onChange: (controls: Controls) => void, onStop: () => void): void {
    const look = async (): Promise<void> => {
      const asked = await readControls(this.workspace, this.config.sweep);
      if (asked.stop) onStop();
      const controls = controlsOf(this.config, asked);
      if (isDeepStrictEqual(controls, this.controls)) return;
      this.controls = controls;
      onChange(controls);
    };
    this.timer = setInterval(() => void look(), LOOK_EVERY_MS);
  }

  close(): void {
    clearInterval(this.timer);
  }
}

/** What is asked of a sweep by now. */
export async function askedControls(workspace: Workspace, config: SweepConfig): Promise<Controls> {
  return controlsOf(config, await readControls(workspace, config.sweep));
}

function controlsOf(config: SweepConfig, { trials, parallel, stopped: byHand, extensions }: AskedControls): Controls {
  return { trials: trials ?? config.trials, parallel: parallel ?? config.parallel, stopped: byHand, extensions };
}
