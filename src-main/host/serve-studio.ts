import { fileURLToPath } from 'node:url';
import type { Workspace } from '../studio/contract.ts';
import { Studio } from '../studio/service/studio.ts';
import { loadPages } from './pages.ts';
import { startHost, type Host } from './serve.ts';

/** Where the build puts the renderer, seen from dist/host and from src-main/host. */
export function rendererFolder(): string {
  const built = import.meta.url.endsWith('.js');
  return fileURLToPath(new URL(built ? '../renderer/' : '../../dist/renderer/', import.meta.url));
}

/** Opens a workspace's studio and serves it; closing the host closes both. */
export async function serveStudio(workspace: Workspace, port: number): Promise<Host> {
  const pages = await loadPages(rendererFolder());
  const studio = await Studio.open(workspace);
  try {
    const host = await startHost({ studio, pages, port });
    return {
      ...host,
      close: async () => {
        await host.close();
        await studio.close();
      },
    };
  } catch (error) {
    await studio.close();
    throw error;
  }
}
