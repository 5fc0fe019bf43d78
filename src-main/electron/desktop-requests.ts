/** What the window may ask of the desktop, beyond the studio's own calls; browsers have no such thing. */
import { z } from 'zod';

/** An action of the window, as its menu shows it. */
export const commandSchema = z.object({
  id: z.string(),
  title: z.string().max(200),
  /** `g d` for keys pressed one after the other, `mod+k` for keys together, where mod is Ctrl or Command. */
  keys: z.string().max(40).nullable(),
});
export type MenuCommand = z.infer<typeof commandSchema>;

const path = z.string().min(1);

export const desktopRequestSchema = z.discriminatedUnion('ask', [
  z.object({ ask: z.literal('choose-folder') }),
  /** Endings come with their dots; an empty one is that of any file. */
  z.object({ ask: z.literal('choose-file'), extensions: z.array(z.string().regex(/^(\.[\w.]+)?$/)) }),
  z.object({ ask: z.literal('reveal'), path }),
  z.object({ ask: z.literal('drag-out'), path }),
  z.object({ ask: z.literal('menu'), commands: z.array(commandSchema).max(100) }),
]);
export type DesktopRequest = z.infer<typeof desktopRequestSchema>;

/** Errors of an IPC call keep nothing but their message, behind words of Electron's; so they travel as answers. */
export type DesktopAnswer = { ok: true; path: string | null } | { ok: false; message: string };

/** What the preload puts into the window, as `sidetune`; the window asks for its port to the studio by itself. */
export interface Bridge {
  ask(request: DesktopRequest): Promise<DesktopAnswer>;
  /** Where a dropped or chosen file (a `File`) lies; empty where it lies nowhere. */
  pathOf(file: unknown): string;
  /** Called with the id of each command that is chosen in the menu. */
  onCommand(listener: (id: string) => void): void;
}

/** Channels between the preload and the main process, and the message with which a page hands over its port. */
export interface Channels {
  port: 'studio:port';
  ask: 'desktop:ask';
  command: 'desktop:command';
}
