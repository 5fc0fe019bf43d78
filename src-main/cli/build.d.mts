export function build(): void;
export function buildIfStale(): void;
export function buildRenderer(): void;
export function buildRendererIfStale(): void;
