import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

// The node to build against in development: the mock (npm run mock) unless
// DIALTONE_NODE names a running `dialtone serve --demo`.
const node = process.env.DIALTONE_NODE ?? 'http://127.0.0.1:5180'

export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  resolve: { alias: { $lib: fileURLToPath(new URL('./src/lib', import.meta.url)) } },
  define: {
    // In mode "fake" a pretend phone takes the SDK's place, so that every
    // state of a call can be looked at without a node.
    __FAKE_PHONE__: JSON.stringify(mode === 'fake'),
  },
  build: {
    target: 'es2022',
    // light-dark() as it is, not taken apart for older browsers.
    cssTarget: ['chrome123', 'firefox121', 'safari17.5'],
    outDir: mode === 'fake' ? 'dist-dev' : 'dist',
    emptyOutDir: true,
    // Inlined assets would need data: in the content security policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
    // What the bundled libraries' licences ask to be passed on.
    license: { fileName: 'licenses.md' },
  },
  server: {
    port: 5181,
    proxy: {
      '/api': { target: node, secure: false, changeOrigin: false },
      '/v4': { target: node, secure: false },
      '/signal': { target: node, secure: false, ws: true },
    },
  },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'node',
  },
}))
