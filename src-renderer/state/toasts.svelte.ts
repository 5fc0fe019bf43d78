export interface Toast {
  id: number;
  kind: 'info' | 'error';
  text: string;
  /** What takes it back. */
  undo: (() => Promise<void>) | null;
}

const INFO_MS = 8000;

class Toasts {
  shown = $state<Toast[]>([]);
  private last = 0;

  say(text: string, undo: Toast['undo'] = null): void {
    const { id } = this.show('info', text, undo);
    setTimeout(() => this.close(id), INFO_MS);
  }

  /** Stays until it is closed. */
  error(error: unknown): void {
    this.show('error', error instanceof Error ? error.message : String(error), null);
  }

  close(id: number): void {
    this.shown = this.shown.filter((toast) => toast.id !== id);
  }

  /** Takes away what is said elsewhere. */
  withdraw(text: string): void {
    this.shown = this.shown.filter((toast) => toast.text !== text);
  }

  private show(kind: Toast['kind'], text: string, undo: Toast['undo']): Toast {
    const toast = { id: ++this.last, kind, text, undo };
    this.shown = [...this.shown.filter((other) => other.text !== text), toast].slice(-4);
    return toast;
  }
}

export const toasts = new Toasts();

/** Does something the user asked for; what goes wrong is said in a toast. */
export async function attempt<T>(task: () => Promise<T>): Promise<T | undefined> {
  try {
    return await task();
  } catch (error) {
    toasts.error(error);
    return undefined;
  }
}
