/** Backbones offered to devices, as a user asks for it. */
import { writeLog } from '../../base/error-log.ts';
import { exportTriton, type TritonExport } from '../../edge/export-triton.ts';
import { serveBackbones, type EdgeServer } from '../../edge/server/serve.ts';
import type { Workspace } from '../../workspace/workspace.ts';
import { resolveBackbone } from '../backbones.ts';
import { usualThreads } from '../preferences.ts';

export type { EdgeServer };

export interface EdgeServeRequest {
  /** Names in the workspace, or paths; at least one. */
  backbones: readonly string[];
  /** Blocks that sums may go up to. */
  upto?: readonly number[];
  host: string;
  port: number;
  grpcPort?: number;
  tokenFile?: string;
  tlsCert?: string;
  tlsKey?: string;
  threads?: number;
  batch?: number;
  delayMs?: number;
  queue?: number;
}

/** Starts a server. @throws Failure of `resolveBackbone` and `serveBackbones` */
export async function serveEdge(
  workspace: Workspace,
  { backbones: named, tlsCert, tlsKey, batch, delayMs, queue, ...options }: EdgeServeRequest,
  { version, logs }: { version: string; logs: string | undefined },
): Promise<EdgeServer> {
  const backbones = [];
  for (const name of named) backbones.push(await resolveBackbone(workspace, name));
  const limits = Object.fromEntries(
    Object.entries({ batch, delayMs, queue }).filter(([, value]) => value !== undefined),
  );
  return serveBackbones({
    ...options,
    backbones,
    limits,
    version,
    ...(tlsCert !== undefined && tlsKey !== undefined ? { tls: { cert: tlsCert, key: tlsKey } } : {}),
    onDefect: (error) => void writeLog(logs, error, ['edge', 'serve']),
  });
}

export type { TritonExport };

/** A backbone as a model repository for Triton and KServe. @throws Failure of `resolveBackbone` and `exportTriton` */
export async function exportForTriton(
  workspace: Workspace,
  { backbone, ...options }: { backbone: string; out: string; upto?: readonly number[] },
): Promise<TritonExport> {
  const threads = await usualThreads(workspace);
  return exportTriton(await resolveBackbone(workspace, backbone), { ...options, threads });
}
