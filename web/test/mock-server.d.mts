import type { Server } from "node:http";
export const TOKEN: string;
export function start(port?: number): Promise<Server>;
