import { describe, expect, it } from 'vitest'
import { meterLevel, needle } from './level.ts'

const sine = (amplitude: number) => Float32Array.from({ length: 480 }, (_, i) => amplitude * Math.sin(i / 3))

describe('meterLevel', () => {
  it('is 0 for silence and for no samples', () => {
    expect(meterLevel(new Float32Array(480))).toBe(0)
    expect(meterLevel(new Float32Array(0))).toBe(0)
  })
  it('grows with loudness and ends at 1', () => {
    const levels = [0.001, 0.01, 0.1, 0.5, 1].map((a) => meterLevel(sine(a)))
    expect(levels).toEqual(levels.toSorted((a, b) => a - b))
    expect(new Set(levels).size).toBe(levels.length)
    expect(meterLevel(new Float32Array(480).fill(1))).toBe(1)
  })
})

describe('needle', () => {
  it('rises at once, falls slowly and reaches the ground', () => {
    expect(needle(0.1, 0.8)).toBe(0.8)
    expect(needle(0.8, 0)).toBeGreaterThan(0.5)
    let value = 1
    for (let i = 0; i < 60; i++) value = needle(value, 0)
    expect(value).toBe(0)
  })
})
