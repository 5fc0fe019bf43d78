/** Export, as a user asks for it. */
export { exportRun } from '../export/export-run.ts';
export type { FormParity } from '../export/card-facts.ts';
export type { ExportRequest, ExportResult } from '../export/export-run.ts';
