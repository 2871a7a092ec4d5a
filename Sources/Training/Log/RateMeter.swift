import Foundation

/// Images per second since the meter was made.
struct RateMeter {
  private let start = ContinuousClock.now
  private var count = 0

  mutating func add(_ images: Int) { count += images }

  var perSecond: Double {
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    return seconds > 0 ? Double(count) / seconds : 0
  }
}

/// The bytes of memory that the process occupies now; its largest so far where the system does not tell.
func residentMemory() -> Int {
  #if os(Linux)
    let fields =
      (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  #else
    var usage = rusage()
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0
  #endif
}
