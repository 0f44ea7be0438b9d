// How `npm run build` makes the dashboard: one script and one style in built/, whose addresses static_files.py hashes.
import { defineConfig } from "vite";

export default defineConfig({
  root: "dashboard",
  base: "/",
  publicDir: false,
  logLevel: "warn",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../built",
    emptyOutDir: true,
    target: "es2022", // browsers since 2022: operators' machines are kept up
    modulePreload: false,
    assetsInlineLimit: 0, // the content security policy takes no data: addresses but for pictures
    cssCodeSplit: false,
    lib: { entry: "main.tsx", formats: ["iife"], name: "dashboard", fileName: () => "dashboard.js", cssFileName: "dashboard" },
  },
  define: { "process.env.NODE_ENV": '"production"' },
});
