import Backbones
import Downloads
import Foundation
import TestSupport
import Testing
import Torch

@Suite struct CacheTests {
  @Test(arguments: [
    (["GANGLION_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"], "/a/weights/"),
    (["XDG_CACHE_HOME": "/b", "HOME": "/c"], "/b/ganglion/weights/"),
    (["GANGLION_CACHE": "a"], FileManager.default.currentDirectoryPath + "/a/weights/"),
    (["GANGLION_CACHE": "", "XDG_CACHE_HOME": "relative", "HOME": "/c"], "/c/.cache/ganglion/weights/"),
  ]) func theFolderIsThatOfTheEnvironment(environment: [String: String], path: String) {
    #expect(WeightsCache(environment: environment).folder.path(percentEncoded: false) == path)
  }

  @Test(
    arguments: [(nil, false), ("", false), ("0", false), ("1", true), ("yes", true)] as [(String?, Bool)])
  func theEnvironmentSwitchesTheNetworkOff(value: String?, isOffline: Bool) {
    #expect(Downloader.isOffline(environment: value.map { ["GANGLION_OFFLINE": $0] } ?? [:]) == isOffline)
  }

  @Test func filesAreListedAndRemoved() throws {
    try inScratchFolder { folder in
      let cache = WeightsCache(folder: folder.appending(path: "none yet"))
      #expect(try cache.files().isEmpty)
      let weights = PublishedWeights("https://example.org/v1/w.pth?download=true", license: .mit)
      let place = cache.location(of: weights)
      #expect(place.lastPathComponent == "example.org--v1--w.pth")
      try FileManager.default.createDirectory(at: cache.folder, withIntermediateDirectories: true)
      for (ending, text) in [(".part", "1234"), (".part.validator", "tag")] {
        try Data(text.utf8).write(to: cache.folder.appending(path: place.lastPathComponent + ending))
      }
      let file = try #require(try cache.files().first)
      #expect(try cache.files().count == 1 && file.byteCount == 4 && !file.isComplete)
      #expect(cache.files(of: weights) == [file])
      try cache.remove(file)
      #expect(try files(in: cache.folder).isEmpty)
      let error = try #require(throws: DownloadError.self) { try cache.remove(file) }
      #expect(error.problem == "cannot be removed")
    }
  }

  /// The dictionary that the authors' code takes, and not the averages that are usual elsewhere.
  @Test(arguments: [
    (["model"], "model"), (["state_dict", "model", ""], "model"), (["net"], "model_ema"), ([], "model_ema"),
  ])
  func theAuthorsDictionaryIsTaken(dictionaries: [String], expected: String) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../TorchTests/Fixtures/pytorch/training3.pth").standardizedFileURL
    let weights = PublishedWeights("https://example.org/w.pth", dictionaries: dictionaries, license: .mit)
    let opened = try StateDictionary(contentsOf: file, publishedAs: weights)
    #expect(opened.selection?.path == expected)
  }
}

/// The facts of the catalog, as far as they can be checked without a network.
@Suite struct PublishedWeightsTests {
  static let published = Architecture.allCases.compactMap { architecture in
    (architecture.publication?.weights).map { (architecture, $0) }
  }

  @Test(arguments: published)
  func addressesAreThoseOfFiles(architecture: Architecture, weights: PublishedWeights) throws {
    let url = try #require(URL(string: weights.url))
    #expect(url.scheme == "https" && url.host() != nil && url.query() == nil)
    #expect(["pth", "tar", "safetensors"].contains(url.pathExtension))
    #expect((weights.format == .safeTensors) == (url.pathExtension == "safetensors"))
    #expect(weights.dictionaries.isEmpty == (weights.format == .safeTensors))
    // A page about a repository is no file of it.
    if url.host() == "huggingface.co" { #expect(url.path().contains("/resolve/main/")) }
    if url.host() == "github.com" { #expect(url.path().contains("/releases/download/")) }
  }

  /// Names as PyTorch's hub makes them end in the first digits of the digest.
  @Test(arguments: published)
  func digestsAreThoseOfTheNames(architecture: Architecture, weights: PublishedWeights) {
    let digits = weights.url.firstMatch(of: #/-([0-9a-f]{8})\.pth$/#).map { String($0.1) }
    #expect(weights.sha256 == digits)
  }

  @Test func noTwoFilesShareAPlace() {
    let places = Self.published.map { WeightsCache(folder: URL(filePath: "/c")).location(of: $0.1) }
    #expect(Set(places).count == Set(Self.published.map(\.1.url)).count)
    #expect(
      places.allSatisfy { $0.deletingLastPathComponent().path() == "/c/" && $0.lastPathComponent.count < 200 }
    )
  }

  @Test(arguments: published)
  func nonCommercialLicencesAreToldPlainly(architecture: Architecture, weights: PublishedWeights) {
    let isMambaVision = architecture.rawValue.hasPrefix("mamba_vision")
    #expect((weights.license.allowsCommercialUse == false) == isMambaVision)
    #expect(weights.license.sentence.contains("NO COMMERCIAL USE") == isMambaVision)
    #expect((weights.license == .none) == architecture.rawValue.hasPrefix("sparx"))
  }

  @Test func modelsWithoutWeightsSaySo() {
    for (architecture, words) in [
      (Architecture.sparxMambaMicro, "train it"), (.visionMambaTinyMean, "its authors publish others"),
    ] {
      let error = #expect(throws: DownloadError.self) { try architecture.publishedWeights() }
      #expect(error?.description.contains(words) == true)
    }
  }
}
