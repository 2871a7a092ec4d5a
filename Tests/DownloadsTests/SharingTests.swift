import Backbones
import Downloads
import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What others do meanwhile: other calls, the network, the disk, whoever stops the work.
@Suite(.timeLimit(.minutes(15))) struct SharingTests {
  @Test func callsAtTheSameTimeFetchAFileOnce() async throws {
    try await withServer({ request, _ in
      var reply = LocalServer.Reply.file(content, tag: "a", for: request)
      reply.silence = 0.1
      return reply
    }) { server in
      try await withDownloader { downloader in
        let (downloader, weights) = (downloader, server.weights())
        let found = try await withThrowingTaskGroup(of: Data.self) { group in
          for _ in 0..<4 {
            group.addTask { try Data(contentsOf: try await downloader.file(of: weights)) }
          }
          return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(found == Array(repeating: content, count: 4))
        #expect(server.requests.count == 1)
        let names = try downloader.names
        #expect(names.count == 1)
      }
    }
  }

  @Test func whatACancelledCallBroughtIsKept() async throws {
    try await withServer({ request, index in
      var reply = LocalServer.Reply.file(content, tag: "a", for: request)
      if index == 0 { (reply.limit, reply.silence) = (30_000, 3600) }
      return reply
    }) { server in
      try await withDownloader { downloader in
        // Nothing but the call's end ends the silence, however late this task goes on.
        downloader.timeout = .seconds(3600)
        let (copy, weights) = (downloader, server.weights())
        let (arrivals, arrival) = AsyncStream.makeStream(of: Int.self)
        let call = Task {
          try await copy.file(of: weights) { event in
            if case .progress(let received, _, _) = event { arrival.yield(received) }
          }
        }
        for await received in arrivals where received == 30_000 { break }
        call.cancel()
        _ = try await #require(throws: CancellationError.self) { try await call.value }
        #expect(downloader.cache.files(of: weights).map(\.byteCount) == [30_000])
        let bytes = try await downloader.bytes(of: weights)
        #expect(bytes == content)
        #expect(server.starts == [nil, 30_000])
      }
    }
  }

  @Test func aCallThatIsCancelledBeforeItBeginsEnds() async throws {
    try await withServer({ request, _ in .file(content, tag: "a", for: request) }) { server in
      try await withDownloader { downloader in
        let (copy, weights) = (downloader, server.weights())
        let call = Task {
          while !Task.isCancelled { await Task.yield() }
          return try await copy.file(of: weights)
        }
        call.cancel()
        _ = try await #require(throws: CancellationError.self) { try await call.value }
      }
    }
  }

  @Test func offlineOnlyTheCacheCounts() async throws {
    try await withServer({ request, _ in .file(content, tag: "a", for: request) }) { server in
      try await withDownloader { downloader in
        let weights = server.weights()
        downloader.isOffline = true
        let error = try await #require(throws: DownloadError.self) {
          try await downloader.file(of: weights)
        }
        let place = downloader.cache.location(of: weights)
        #expect(
          error.description
            == "\(weights.url): is not in the cache, and the network is not to be used;"
            + " fetch it where there is a network and put it at \(place.path)")
        #expect(server.requests.isEmpty)
        try FileManager.default.createDirectory(
          at: downloader.cache.folder, withIntermediateDirectories: true)
        try content.write(to: place)
        let file = try await downloader.file(of: weights)
        #expect(file == place)
        #expect(server.requests.isEmpty)
      }
    }
  }

  // The environment is the whole process's.
  @Test func proxiesOfTheEnvironmentAreUsed() async throws {
    await #expect(processExitsWith: .success) {
      try await withServer({ request, _ in .file(content, tag: "a", for: request) }) { proxy in
        setenv("http_proxy", "http://127.0.0.1:\(proxy.port)", 1)
        setenv("no_proxy", "127.0.0.1", 1)
        try await withDownloader { downloader in
          let weights = PublishedWeights("http://weights.invalid/w.pth", license: .mit)
          let bytes = try await downloader.bytes(of: weights)
          try #require(bytes == content)
          try #require(proxy.requests.map(\.target) == ["http://weights.invalid/w.pth"])
          // An address that needs no proxy.
          let direct = try await downloader.bytes(of: proxy.weights())
          try #require(direct == content)
          try #require(proxy.requests.last?.target == "/w.pth")
        }
      }
    }
  }

  @Test func encryptedConnectionsGoThroughTheProxyToo() async throws {
    await #expect(processExitsWith: .success) {
      try await withServer({ _, _ in .init("403 Forbidden") }) { proxy in
        setenv("HTTPS_PROXY", "http://127.0.0.1:\(proxy.port)", 1)
        unsetenv("no_proxy")
        unsetenv("NO_PROXY")
        try await withDownloader { downloader in
          downloader.attempts = 1
          let weights = PublishedWeights("https://weights.invalid/w.pth", license: .mit)
          let error = try await #require(throws: DownloadError.self) {
            try await downloader.file(of: weights)
          }
          try #require(proxy.requests.map(\.line) == ["CONNECT weights.invalid:443 HTTP/1.1"])
          try #require(error.problem.contains("403"), "\(error)")
        }
      }
    }
  }

  // A limit on the size of files stands in for a full disk; it holds for a process of its own.
  @Test func aFullDiskIsToldAndWhatCameIsKept() async throws {
    await #expect(processExitsWith: .success) {
      try await withServer({ request, _ in .file(content, tag: "a", for: request) }) { server in
        try await withDownloader { downloader in
          signal(SIGXFSZ, SIG_IGN)
          var limit = rlimit()
          try #require(getrlimit(fileSizeLimit, &limit) == 0)
          let usual = limit.rlim_cur
          limit.rlim_cur = 100_000
          try #require(setrlimit(fileSizeLimit, &limit) == 0)
          let weights = server.weights()
          let error = try await #require(throws: DownloadError.self) {
            try await downloader.file(of: weights)
          }
          try #require(
            error.description.contains(
              "w.pth.part: cannot be written (File too large); free some space"), "\(error)")
          try #require(downloader.cache.files(of: weights).map(\.byteCount) == [100_000])
          limit.rlim_cur = usual
          try #require(setrlimit(fileSizeLimit, &limit) == 0)
          let bytes = try await downloader.bytes(of: weights)
          try #require(bytes == content)
          try #require(server.starts == [nil, 100_000])
        }
      }
    }
  }
}

#if canImport(Glibc)
  private let fileSizeLimit = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
#else
  private let fileSizeLimit = RLIMIT_FSIZE
#endif
