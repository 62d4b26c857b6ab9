// Measures every sample that it is given: level, and the longest silence between
// two sounds, in blocks of 128 samples.
const silence = 0.003;

registerProcessor('ear', class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = this.power = this.run = this.quiet = 0;
    this.sounded = false;
    this.port.onmessage = () => this.port.postMessage({
      seconds: this.samples / sampleRate, quiet: (1000 * this.quiet) / sampleRate,
      level: this.samples ? Math.sqrt(this.power / this.samples) : 0,
    });
  }
  process([[block]]) {
    const n = block?.length ?? 128;
    const power = block ? block.reduce((sum, x) => sum + x * x, 0) : 0;
    this.samples += n;
    this.power += power;
    if (Math.sqrt(power / n) < silence) {
      this.run += n;
    } else {
      if (this.sounded) this.quiet = Math.max(this.quiet, this.run);
      this.sounded = true;
      this.run = 0;
    }
    return true;
  }
});
