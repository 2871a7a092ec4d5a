import Foundation
import Synchronization
import Testing
import Torch

@Suite struct ThreadCountTests {
  // LibTorch alone remembers a count for each thread that has called it.
  @Test func aSettingReachesThreadsThatHaveCalledBefore() async {
    await #expect(processExitsWith: .success) {
      let (called, changed, done) = (
        DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
      )
      let seen = Mutex<[Int]>([])
      Engine.threadCount = 2
      Thread.detachNewThread {
        seen.withLock { $0.append(Engine.threadCount) }
        called.signal()
        changed.wait()
        seen.withLock { $0.append(Engine.threadCount) }
        done.signal()
      }
      called.wait()
      Engine.threadCount = 1
      changed.signal()
      done.wait()
      #expect(seen.withLock(\.self) == [2, 1])
    }
  }
}
